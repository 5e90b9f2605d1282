#include "storage/stream_decoder.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <vector>

namespace bridgehead::storage {
namespace {

constexpr std::size_t kDecodedPiece = 1 << 20;
// Memory a stream may make its decoder use: xz -9 needs 65 MiB, zstd --ultra windows of 27 bits 128 MiB.
constexpr std::uint64_t kXzMemory = 100 << 20;
constexpr int kZstdWindowBits = 26;

tl::unexpected<Error> damaged_stream(std::string_view format, std::string_view what) {
  return fail_with_hint(ErrorCode::data_corrupt, fmt::format("the {} stream is damaged: {}", format, what),
                        "Send it again; check it with 'gzip -t', 'xz -t' or 'zstd -t' where it came from.");
}

class PassThrough final : public StreamDecoder {
 public:
  Status feed(std::string_view bytes, const Sink& sink) override { return sink(bytes); }
  Status finish() override { return {}; }
};

class GzipDecoder final : public StreamDecoder {
 public:
  GzipDecoder() : ready_(::inflateInit2(&stream_, 15 + 16) == Z_OK) {}
  ~GzipDecoder() override {
    if (ready_) ::inflateEnd(&stream_);
  }
  GzipDecoder(const GzipDecoder&) = delete;
  bool ready() const { return ready_; }

  Status feed(std::string_view bytes, const Sink& sink) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    bool full = false;
    while (stream_.avail_in > 0 || full) {
      if (ended_ && !next_member()) return {};
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      const std::size_t made = out_.size() - stream_.avail_out;
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        return damaged_stream("gzip", stream_.msg != nullptr ? stream_.msg : "unreadable");
      }
      ended_ = result == Z_STREAM_END;
      full = !ended_ && stream_.avail_out == 0;
      if (made > 0) {
        if (auto passed = sink({out_.data(), made}); !passed) return passed;
      }
      if (result == Z_BUF_ERROR) return {};
    }
    return {};
  }
  Status finish() override {
    if (!ended_) return damaged_stream("gzip", "it is cut off");
    return {};
  }

 private:
  // Several members in a row are one file (RFC 1952); anything else after the last is ignored, as gzip does.
  bool next_member() {
    if (stream_.avail_in == 0 || trailing_) return false;
    if (*stream_.next_in != 0x1f) {
      trailing_ = true;
      return false;
    }
    ended_ = false;
    return ::inflateReset(&stream_) == Z_OK;
  }

  z_stream stream_{};
  bool ready_;
  bool ended_ = false;
  bool trailing_ = false;
  std::vector<char> out_ = std::vector<char>(kDecodedPiece);
};

class XzDecoder final : public StreamDecoder {
 public:
  XzDecoder() : ready_(::lzma_stream_decoder(&stream_, kXzMemory, LZMA_CONCATENATED) == LZMA_OK) {}
  ~XzDecoder() override { ::lzma_end(&stream_); }
  XzDecoder(const XzDecoder&) = delete;
  bool ready() const { return ready_; }

  Status feed(std::string_view bytes, const Sink& sink) override { return run(bytes, LZMA_RUN, sink); }
  Status finish() override {
    // Nothing can come out any more: LZMA_CONCATENATED only has to hear that this was all.
    auto done = run({}, LZMA_FINISH, [](std::string_view) { return Status(); });
    if (done && !ended_) return damaged_stream("xz", "it is cut off");
    return done;
  }

 private:
  Status run(std::string_view bytes, lzma_action action, const Sink& sink) {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    stream_.avail_in = bytes.size();
    for (;;) {
      stream_.next_out = reinterpret_cast<std::uint8_t*>(out_.data());
      stream_.avail_out = out_.size();
      const lzma_ret result = ::lzma_code(&stream_, action);
      const std::size_t made = out_.size() - stream_.avail_out;
      if (made > 0) {
        if (auto passed = sink({out_.data(), made}); !passed) return passed;
      }
      if (result == LZMA_STREAM_END) ended_ = true;
      if (result == LZMA_STREAM_END || (result == LZMA_BUF_ERROR && made == 0)) return {};
      if (result == LZMA_MEMLIMIT_ERROR) {
        return fail(ErrorCode::resource_exhausted, "the xz stream needs more than {} of memory",
                    Bytes(kXzMemory).human());
      }
      if (result != LZMA_OK && result != LZMA_BUF_ERROR) return damaged_stream("xz", "unreadable");
      if (stream_.avail_in == 0 && stream_.avail_out > 0 && action == LZMA_RUN) return {};
    }
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_;
  bool ended_ = false;
  std::vector<char> out_ = std::vector<char>(kDecodedPiece);
};

class ZstdDecoder final : public StreamDecoder {
 public:
  ZstdDecoder() : context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    if (context_) ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowBits);
  }
  bool ready() const { return context_ != nullptr; }

  Status feed(std::string_view bytes, const Sink& sink) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    bool full = false;
    while (in.pos < in.size || full) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      left_ = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(left_) != 0U) return damaged_stream("zstd", ZSTD_getErrorName(left_));
      if (out.pos > 0) {
        if (auto passed = sink({out_.data(), out.pos}); !passed) return passed;
      }
      full = out.pos == out.size;
    }
    return {};
  }
  Status finish() override {
    if (left_ != 0) return damaged_stream("zstd", "it is cut off");
    return {};
  }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  std::size_t left_ = 1;
  std::vector<char> out_ = std::vector<char>(kDecodedPiece);
};

template <typename Decoder>
Result<std::unique_ptr<StreamDecoder>> checked() {
  auto decoder = std::make_unique<Decoder>();
  if (!decoder->ready()) return fail(ErrorCode::resource_exhausted, "no memory to decompress the image");
  return decoder;
}

}  // namespace

Result<std::unique_ptr<StreamDecoder>> make_decoder(Compression compression) {
  switch (compression) {
    case Compression::gzip: return checked<GzipDecoder>();
    case Compression::xz: return checked<XzDecoder>();
    case Compression::zstd: return checked<ZstdDecoder>();
    case Compression::none: break;
  }
  return std::make_unique<PassThrough>();
}

}  // namespace bridgehead::storage
