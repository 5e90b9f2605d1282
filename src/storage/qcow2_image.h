// Reads qcow2 files: the map from content to clusters, and compressed clusters (zlib, zstd). Every offset is checked
// against the file before it is followed; nothing but the given file is ever opened.
#pragma once

#include "storage/qcow2_header.h"
#include "storage/readable_image.h"

namespace bridgehead::storage {

// Reads and judges the header again, from the descriptor that will be read: what was probed is what is used.
// Errors as parse_qcow2_header's; `map` of the result fails with data_corrupt for entries that lead outside the file.
Result<ReadableImage> open_qcow2_image(UniqueFd file);

// The header alone, of a disk of our own: a backing file is allowed.
Result<Qcow2Header> read_own_qcow2_header(int fd);

}  // namespace bridgehead::storage
