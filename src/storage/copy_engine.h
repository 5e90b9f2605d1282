// The copy engine: the content of a ReadableImage into an empty file, as raw, with holes where there are zeros.
//
// The content is cut into pieces aligned to `piece`. Worker threads take them in the target's best order; each keeps
// several in flight on its own io_uring: read (or read and decompress), find the zeros, write the rest. What the page
// cache holds is read from there, the rest past it with O_DIRECT. Writes go past the page cache where the target can.
// Memory is bounded by `buffers` pieces. Ends with fdatasync. Stateless; any number of copies may run at once.
// Figures and what was tried: "The copy engine" in README.md of this folder.
//
// Errors: resource_exhausted (no space), data_corrupt (the source's map or a compressed cluster is damaged), cancelled,
// io_error. The target's content is then unspecified: remove it.
#pragma once

#include <stop_token>
#include <string>

#include "base/progress.h"
#include "storage/layout.h"
#include "storage/readable_image.h"

namespace bridgehead::storage {

struct CopyOptions {
  Bytes piece = 2_MiB;   // power of two, at least 64 KiB; the pool's stripe size where it has one
  unsigned workers = 0;  // 0 = as many as there are CPUs, at most 8
  unsigned buffers = 32;
  bool direct_io = true;           // tried; without effect where a file refuses it
  bool io_uring = true;            // likewise; otherwise more workers with plain reads and writes
  bool sha256 = false;             // of the whole content, zeros included; a further thread, about 1.5 GB/s with SHA-NI
  CopyOrder order;                 // with sha256 always one lane
  Bytes limit{~std::uint64_t{0}};  // more bytes to be written than this: resource_exhausted
};

struct CopyReport {
  Bytes written;       // bytes that aren't holes
  std::string sha256;  // hex, if asked for
  bool used_io_uring = false;
  bool used_direct_io = false;  // for the target
};

// `target` is open for writing and empty; it ends exactly image.virtual_size long. Progress counts content bytes.
Result<CopyReport> copy_image(const ReadableImage& image, int target, const CopyOptions& options,
                              const ProgressSink& progress = {}, std::stop_token stop = {});

// A part of the content. Begins at a multiple of the options' piece and ends at one, or at the content's end.
struct ContentPart {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const ContentPart&) const = default;
};

// Only this part, into a file that has its size already and reads as zeros there (or as an earlier copy of the same).
// Other parts may be copied at the same time, by other processes and hosts too. Ends with fdatasync; nothing of the
// file outside of the part changes. `direct_io` isn't tried: it says whether the file takes it. Options without effect:
// sha256, and `order` beyond the part. Progress counts the part's bytes.
//
// The digest tells what was written: the SHA-256, in hex, of offset (8 bytes, little-endian) and SHA-256 (in hex) of
// each piece in order; pieces that are all zeros are left out, so that holes and stored zeros are the same.
Result<std::string> copy_part(const ReadableImage& image, int target, const ContentPart& part,
                              const CopyOptions& options, const ProgressSink& progress = {}, std::stop_token stop = {});

// The same digest of what `image` holds there, read past the page cache: what its storage gives.
Result<std::string> digest_of_part(const ReadableImage& image, const ContentPart& part, const CopyOptions& options,
                                   std::stop_token stop = {});

// True if all are zero; quick when they aren't.
bool all_zero(std::span<const std::uint8_t> bytes);

}  // namespace bridgehead::storage
