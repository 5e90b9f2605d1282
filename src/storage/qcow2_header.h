// The header of a qcow2 file, version 2 and 3: read and judged. Pure functions over bytes that nobody vouches for;
// thread-safe. Format: docs/interop/qcow2.txt of QEMU.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace bridgehead::storage {

inline constexpr std::uint32_t kQcow2Magic = 0x514649fb;  // "QFI\xfb"
// Larger than any file system here takes; keeps every later sum far from overflow.
inline constexpr Bytes kLargestVirtualSize = 64_TiB;

enum class Qcow2Compression { zlib, zstd };

struct Qcow2Header {
  std::uint32_t version = 3;
  std::uint32_t cluster_bits = 16;
  Bytes virtual_size;
  std::uint64_t l1_offset = 0;
  std::uint32_t l1_entries = 0;
  Qcow2Compression compression = Qcow2Compression::zlib;
  std::string backing_file;  // only our own overlays may have one

  std::uint64_t cluster_size() const { return std::uint64_t{1} << cluster_bits; }
};

enum class BackingFile { refuse, allow };

// `start` is the file's first bytes (at least 64 KiB, or all of it), `file_size` its length.
// Errors: data_corrupt (damaged, absurd), permission_denied (names another file), unsupported (encrypted, unknown
// features).
Result<Qcow2Header> parse_qcow2_header(std::span<const std::uint8_t> start, std::uint64_t file_size,
                                       BackingFile backing = BackingFile::refuse);

}  // namespace bridgehead::storage
