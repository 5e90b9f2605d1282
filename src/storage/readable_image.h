// ReadableImage: an opened image file and the map of its content; what the copy engine reads from.
// Made by open_raw_image and open_qcow2_image (qcow2_image.h). Movable value that owns its descriptor.
// `map` is called by one thread at a time; `decompress` by many at once. Errors: data_corrupt for a map that leads
// outside the file, io_error.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "base/units.h"

namespace bridgehead::storage {

enum class ExtentKind {
  zero,        // reads as zeros, nothing stored
  data,        // stored as it is at file_offset; past the file's end it reads as zeros
  compressed,  // at most file_length bytes at file_offset decompress to the whole extent
};

// A run of the guest-visible content.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  ExtentKind kind = ExtentKind::zero;
  std::uint64_t file_offset = 0;
  std::uint64_t file_length = 0;  // compressed only
};

struct ReadableImage {
  UniqueFd file;
  Bytes virtual_size;
  // Extents begin at multiples of this in the content, data extents also in the file; a power of two. A compressed
  // extent is one granule (the last may be cut by virtual_size).
  std::uint32_t granularity = 4096;
  // The extent that begins at this offset (< virtual_size); never empty, never past virtual_size.
  std::function<Result<Extent>(std::uint64_t)> map;
  // From the stored bytes (more may follow) to exactly one granule. Null where nothing is compressed.
  std::function<Status(std::span<const std::uint8_t>, std::span<std::uint8_t>)> decompress;
};

// The whole file as content; its holes are found with SEEK_DATA and SEEK_HOLE.
Result<ReadableImage> open_raw_image(UniqueFd file);

// How many bytes of the content are stored, by walking the map; stops counting above `enough`.
Result<Bytes> stored_bytes(const ReadableImage& image, Bytes enough);

}  // namespace bridgehead::storage
