// Receives a byte stream into a staged file: decompressed, sparse, with its digests. One call, one thread (and one or
// two for the digests).
#pragma once

#include <stop_token>
#include <string>

#include "base/progress.h"
#include "storage/image_pool.h"

namespace bridgehead::storage {

struct StageRequest {
  int target = -1;               // empty file (see `from`), open for reading and writing
  std::string phase;             // of the progress: "download", "receive", "read"
  std::function<Bytes()> total;  // how much will come, for the progress; 0 = unknown
  Bytes exact_size;              // fails unless exactly so much comes; 0 = whatever comes
  std::string expected_sha256;   // of the bytes as sent; empty = not checked
  Bytes limit;                   // that may be stored
  // The stream begins here in its content; what comes before is in the target already, with this digest of it.
  std::uint64_t from = 0;
  std::string sha256_before;
  // Of content that isn't compressed: told each `step` bytes how much is synced in the target, and its digest.
  std::function<Status(std::uint64_t done, const std::string& sha256)> checkpoint;
  Bytes step = 128_MiB;
};

struct Staged {
  std::string content_sha256;  // of the unwrapped content, if it looks like a raw image; otherwise empty
};

// Errors: those of `stream`; data_corrupt (checksum, damaged or cut off), unsupported (a wrapper that isn't read here),
// resource_exhausted, cancelled.
Result<Staged> stage_stream(ByteStream& stream, const StageRequest& request, const ProgressSink& progress,
                            std::stop_token stop);

// Both in hex, in any case. data_corrupt if they differ; no expectation is met by all.
Status check_sha256(const std::string& expected, const std::string& found);
// invalid_argument unless empty or 64 hex digits.
Status check_sha256_form(const std::string& expected);

}  // namespace bridgehead::storage
