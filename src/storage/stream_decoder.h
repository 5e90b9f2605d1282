// StreamDecoder: undoes gzip, xz or zstd of a byte stream, piece by piece, with bounded memory. One thread at a time.
// Errors: data_corrupt (damaged, cut off), resource_exhausted (the stream wants an absurd dictionary).
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "storage/image_probe.h"

namespace bridgehead::storage {

class StreamDecoder {
 public:
  using Sink = std::function<Status(std::string_view)>;

  virtual ~StreamDecoder() = default;
  // Decodes what it can of `bytes` into `sink`, in pieces of at most 1 MiB; an error of the sink ends it.
  virtual Status feed(std::string_view bytes, const Sink& sink) = 0;
  // At the end of the input: whole, or cut off?
  virtual Status finish() = 0;
};

// Compression::none gives a decoder that passes everything on.
Result<std::unique_ptr<StreamDecoder>> make_decoder(Compression compression);

}  // namespace bridgehead::storage
