// What is this file? Found from its content only, never from a name, and judged: what could make a reader open another
// file of this node, or eat it up, is refused with a sentence that says why and what to do.
// Pure functions over bytes that nobody vouches for (fuzzed: tests/fuzz/image_header_fuzz.cpp); thread-safe.
//
// Errors: data_corrupt (damaged, cut off, not an image at all), permission_denied (names another file: backing file,
// parent, extents, external data), unsupported (encrypted, unknown features or formats).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/image.h"

namespace bridgehead::storage {

// How many bytes from the start decide: enough for every header that must be looked at whole.
inline constexpr std::size_t kProbeLength = 65536;

enum class Compression { none, gzip, xz, zstd };

// Random access to the file's bytes; short only at its end.
struct ImageBytes {
  std::uint64_t size = 0;
  std::function<Result<std::vector<std::uint8_t>>(std::uint64_t offset, std::size_t length)> read;
};
ImageBytes bytes_of_file(int fd, std::uint64_t size);
ImageBytes bytes_of_memory(std::span<const std::uint8_t> memory);

struct ProbedImage {
  model::ImageFormat format = model::ImageFormat::raw;
  Bytes virtual_size;  // as the header says, a raw image's is the file's
};

// What the stream is wrapped in. Errors: unsupported for wrappers that aren't read here (bzip2, zip, ...).
Result<Compression> probe_compression(std::span<const std::uint8_t> start);

// The image itself, unwrapped.
Result<ProbedImage> probe_image(const ImageBytes& bytes);

// For what is about to be published as raw: its content mustn't itself look like another format or a compressed stream,
// or whoever guesses formats later would follow the names in it.
Status check_plain_content(const ImageBytes& bytes);

}  // namespace bridgehead::storage
