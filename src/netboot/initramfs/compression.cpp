#include "netboot/initramfs/compression.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <memory>

namespace bridgehead::netboot {
namespace {

constexpr std::size_t kPiece = 256 * 1024;
constexpr std::uint64_t kXzMemory = 256ULL << 20;
constexpr int kGzipWindow = 15 + 16;  // zlib: 15 bits, and a gzip header
// The kernel takes windows up to 128 MiB, but allocates one: 16 MiB covers all of an initramfs of ours.
constexpr int kZstdLevel = 19;
constexpr int kZstdWindowLog = 24;
constexpr int kZstdWindowLogMax = 27;
constexpr std::uint32_t kXzDictionary = 16U << 20;

// What comes out of a decoder, up to a limit.
struct Output {
  std::string bytes;
  Bytes limit;
  std::string_view what;

  Status take(const char* piece, std::size_t count) {
    if (bytes.size() + count > limit.count()) {
      return fail(ErrorCode::resource_exhausted, "{} is larger than {} when decompressed", what, limit.human());
    }
    bytes.append(piece, count);
    return {};
  }
};

tl::unexpected<Error> corrupt(std::string_view what, std::string_view format) {
  return fail_with_hint(ErrorCode::data_corrupt,
                        fmt::format("{} can't be decompressed: its {} data is damaged or cut off", what, format),
                        "Install the package that it belongs to again in the tree.");
}

Status gunzip(std::string_view bytes, Output& output) {
  z_stream stream{};
  if (::inflateInit2(&stream, kGzipWindow) != Z_OK) return fail(ErrorCode::internal, "zlib can't be started");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, &::inflateEnd);
  // zlib's interface isn't const-correct; it doesn't write there.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::vector<char> buffer(kPiece);
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = kPiece;
    const int code = ::inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END) return corrupt(output.what, "gzip");
    if (auto taken = output.take(buffer.data(), kPiece - stream.avail_out); !taken) return taken;
    if (code == Z_STREAM_END) return {};
  }
}

Status unxz(std::string_view bytes, Output& output) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (::lzma_stream_decoder(&stream, kXzMemory, LZMA_CONCATENATED) != LZMA_OK) {
    return fail(ErrorCode::internal, "liblzma can't be started");
  }
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> end(&stream, &::lzma_end);
  stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  std::vector<char> buffer(kPiece);
  for (;;) {
    stream.next_out = reinterpret_cast<std::uint8_t*>(buffer.data());
    stream.avail_out = kPiece;
    const lzma_ret code = ::lzma_code(&stream, LZMA_FINISH);
    if (code != LZMA_OK && code != LZMA_STREAM_END) return corrupt(output.what, "xz");
    if (auto taken = output.take(buffer.data(), kPiece - stream.avail_out); !taken) return taken;
    if (code == LZMA_STREAM_END) return {};
  }
}

Status unzstd(std::string_view bytes, Output& output) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(::ZSTD_createDCtx(), &::ZSTD_freeDCtx);
  ::ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::vector<char> buffer(kPiece);
  for (;;) {
    ZSTD_outBuffer out{buffer.data(), kPiece, 0};
    const std::size_t left = ::ZSTD_decompressStream(context.get(), &out, &in);
    if (::ZSTD_isError(left) != 0) return corrupt(output.what, "zstd");
    if (auto taken = output.take(buffer.data(), out.pos); !taken) return taken;
    if (in.pos == in.size && left == 0) return {};
    if (in.pos == in.size && out.pos < out.size) return corrupt(output.what, "zstd");
  }
}

Result<std::string> gzip(std::string_view bytes) {
  z_stream stream{};
  if (::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(ErrorCode::internal, "zlib can't be started");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, &::deflateEnd);
  std::string result(::deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  if (::deflate(&stream, Z_FINISH) != Z_STREAM_END) return fail(ErrorCode::internal, "zlib failed");
  result.resize(result.size() - stream.avail_out);
  return result;
}

// The kernel's decoder knows CRC32 and no CRC64; dictionaries as large as they fit in memory.
Result<std::string> xz(std::string_view bytes) {
  lzma_options_lzma options{};
  if (::lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME) != 0) return fail(ErrorCode::internal, "liblzma failed");
  options.dict_size = kXzDictionary;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  std::string result(::lzma_stream_buffer_bound(bytes.size()), '\0');
  std::size_t used = 0;
  if (::lzma_stream_buffer_encode(const_cast<lzma_filter*>(filters), LZMA_CHECK_CRC32, nullptr,
                                  reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                                  reinterpret_cast<std::uint8_t*>(result.data()), &used, result.size()) != LZMA_OK) {
    return fail(ErrorCode::internal, "liblzma failed");
  }
  result.resize(used);
  return result;
}

Result<std::string> zstd(std::string_view bytes) {
  const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context(::ZSTD_createCCtx(), &::ZSTD_freeCCtx);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kZstdLevel);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, kZstdWindowLog);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string result(::ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t used = ::ZSTD_compress2(context.get(), result.data(), result.size(), bytes.data(), bytes.size());
  if (::ZSTD_isError(used) != 0) return fail(ErrorCode::internal, "zstd failed: {}", ::ZSTD_getErrorName(used));
  result.resize(used);
  return result;
}

}  // namespace

std::string_view to_string(InitramfsCompression compression) {
  switch (compression) {
    case InitramfsCompression::none: return "none";
    case InitramfsCompression::gzip: return "gzip";
    case InitramfsCompression::xz: return "xz";
    case InitramfsCompression::zstd: return "zstd";
  }
  return "unknown";
}

InitramfsCompression compression_of(std::string_view file_name) {
  if (file_name.ends_with(".gz")) return InitramfsCompression::gzip;
  if (file_name.ends_with(".xz")) return InitramfsCompression::xz;
  if (file_name.ends_with(".zst")) return InitramfsCompression::zstd;
  return InitramfsCompression::none;
}

std::string_view without_compression(std::string_view file_name) {
  return compression_of(file_name) == InitramfsCompression::none ? file_name
                                                                 : file_name.substr(0, file_name.rfind('.'));
}

Result<std::string> decompress(std::string_view bytes, InitramfsCompression compression, Bytes limit,
                               std::string_view what) {
  Output output{{}, limit, what};
  Status done;
  switch (compression) {
    case InitramfsCompression::none: done = output.take(bytes.data(), bytes.size()); break;
    case InitramfsCompression::gzip: done = gunzip(bytes, output); break;
    case InitramfsCompression::xz: done = unxz(bytes, output); break;
    case InitramfsCompression::zstd: done = unzstd(bytes, output); break;
  }
  if (!done) return forward(done);
  return std::move(output.bytes);
}

Result<std::string> compress(std::string_view bytes, InitramfsCompression compression) {
  switch (compression) {
    case InitramfsCompression::none: return std::string(bytes);
    case InitramfsCompression::gzip: return gzip(bytes);
    case InitramfsCompression::xz: return xz(bytes);
    case InitramfsCompression::zstd: return zstd(bytes);
  }
  return fail(ErrorCode::internal, "no such compression");
}

}  // namespace bridgehead::netboot
