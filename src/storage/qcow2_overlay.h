// Writes the qcow2 file of a new disk that shares its golden image's blocks: header, reference counts and an empty L1
// table, as 'qemu-img create -b' would, without starting a program. Format: docs/interop/qcow2.txt of QEMU.
#pragma once

#include <string>

#include "base/result.h"
#include "base/units.h"

namespace bridgehead::storage {

// The bytes of a version 3 file with clusters of 64 KiB whose backing file is the raw image `backing` (absolute,
// or relative to the overlay's directory); "" = none: a blank disk.
// Errors: invalid_argument (name longer than the 1,023 bytes that the format allows, absurd size).
Result<std::string> qcow2_overlay(const std::string& backing, Bytes virtual_size);

}  // namespace bridgehead::storage
