#include "storage/qcow2_image.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "storage/byte_order.h"

namespace bridgehead::storage {
namespace {

constexpr std::uint64_t kOffsetMask = 0x00fffffffffffe00;  // bits 9 to 55
constexpr std::uint64_t kCompressedFlag = std::uint64_t{1} << 62;
constexpr std::uint64_t kZeroFlag = 1;

tl::unexpected<Error> damaged_data(std::string what) {
  return fail_with_hint(ErrorCode::data_corrupt, "the qcow2 image is damaged: " + what,
                        "Check it with 'qemu-img check' where it came from and send it again.");
}

// Reads up to the end of the file; what is missing stays zero.
Status read_at(int fd, std::span<std::uint8_t> into, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read the qcow2 image");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Result<std::uint64_t> size_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, "stat the qcow2 image");
  return static_cast<std::uint64_t>(status.st_size);
}

Result<Qcow2Header> read_header(int fd, std::uint64_t file_size, BackingFile backing) {
  std::vector<std::uint8_t> start(std::min<std::uint64_t>(file_size, 65536));
  if (auto read = read_at(fd, start, 0); !read) return forward(read);
  return parse_qcow2_header(start, file_size, backing);
}

// The walk through L1 and L2 tables; keeps one L2 table in memory, since offsets mostly come in ascending order. (Where
// a copy takes several stretches side by side it is read anew when they lie in different tables.)
class Qcow2Map {
 public:
  Qcow2Map(int fd, std::uint64_t file_size, const Qcow2Header& header)
      : fd_(fd),
        file_size_(file_size),
        size_(header.virtual_size.count()),
        cluster_bits_(header.cluster_bits),
        cluster_size_(header.cluster_size()),
        per_table_(header.cluster_size() / 8),
        l2_bytes_(header.cluster_size()) {
    const std::uint64_t span = cluster_size_ * per_table_;
    l1_bytes_.resize((size_ + span - 1) / span * 8);
  }

  Status load(std::uint64_t l1_offset) { return read_at(fd_, l1_bytes_, l1_offset); }

  Result<Extent> at(std::uint64_t offset) {
    if (auto loaded = load_table(offset / cluster_size_ / per_table_); !loaded) return forward(loaded);
    if (!table_present_) return absent_tables(offset);
    auto extent = one_cluster(offset);
    if (!extent || extent->kind == ExtentKind::compressed) return extent;
    // Neighbours that continue it, as long as this table tells.
    const std::uint64_t table_end = (offset / cluster_size_ / per_table_ + 1) * per_table_ * cluster_size_;
    std::uint64_t next = offset + extent->length;
    while (next < std::min(size_, table_end)) {
      auto more = one_cluster(next);
      if (!more) return more;
      if (more->kind != extent->kind) break;
      if (extent->kind == ExtentKind::data && more->file_offset != extent->file_offset + extent->length) break;
      extent->length += more->length;
      next += more->length;
    }
    return extent;
  }

 private:
  std::uint64_t l1_entry(std::uint64_t index) const {
    return read_be<std::uint64_t>(l1_bytes_, index * 8) & kOffsetMask;
  }

  Status load_table(std::uint64_t index) {
    if (index == table_) return {};
    const std::uint64_t offset = l1_entry(index);
    table_present_ = offset != 0;
    table_ = index;
    if (!table_present_) return {};
    table_ = ~std::uint64_t{0};
    if (offset % cluster_size_ != 0) return damaged_data("an L2 table isn't at a cluster's start");
    if (offset >= file_size_ || cluster_size_ > file_size_ - offset) {
      return damaged_data("an L2 table lies past the end of the file (is it cut off?)");
    }
    if (auto read = read_at(fd_, l2_bytes_, offset); !read) return read;
    table_ = index;
    return {};
  }

  // No table, no data: one extent of zeros for all absent tables in a row.
  Extent absent_tables(std::uint64_t offset) const {
    std::uint64_t index = offset / cluster_size_ / per_table_ + 1;
    while (index < l1_bytes_.size() / 8 && l1_entry(index) == 0) ++index;
    const std::uint64_t end = std::min(size_, index * per_table_ * cluster_size_);
    return {offset, end - offset, ExtentKind::zero};
  }

  Result<Extent> one_cluster(std::uint64_t offset) const {
    const std::uint64_t cluster = offset / cluster_size_;
    const std::uint64_t inside = offset % cluster_size_;
    const std::uint64_t length = std::min(cluster_size_ - inside, size_ - offset);
    const auto entry = read_be<std::uint64_t>(l2_bytes_, cluster % per_table_ * 8);
    if ((entry & kCompressedFlag) != 0) return compressed_cluster(entry, cluster * cluster_size_);
    const std::uint64_t stored = entry & kOffsetMask;
    // (Version 2 has no zero flag; the bit is reserved there and zero.)
    if ((entry & kZeroFlag) != 0 || stored == 0) return Extent{offset, length, ExtentKind::zero};
    if (stored % cluster_size_ != 0) return damaged_data("a cluster isn't at a cluster's start");
    if (stored >= file_size_) return damaged_data("a cluster lies past the end of the file (is it cut off?)");
    return Extent{offset, length, ExtentKind::data, stored + inside};
  }

  Result<Extent> compressed_cluster(std::uint64_t entry, std::uint64_t begin) const {
    const std::uint32_t size_shift = 62 - (cluster_bits_ - 8);
    const std::uint64_t stored = entry & ((std::uint64_t{1} << size_shift) - 1);
    const std::uint64_t sectors = ((entry & ~(std::uint64_t{3} << 62)) >> size_shift) + 1;
    if (stored >= file_size_ || stored == 0) return damaged_data("a compressed cluster lies past the end of the file");
    const std::uint64_t bytes = std::min(sectors * 512 - stored % 512, file_size_ - stored);
    return Extent{begin, std::min(cluster_size_, size_ - begin), ExtentKind::compressed, stored, bytes};
  }

  int fd_;
  std::uint64_t file_size_;
  std::uint64_t size_;
  std::uint32_t cluster_bits_;
  std::uint64_t cluster_size_;
  std::uint64_t per_table_;
  std::vector<std::uint8_t> l1_bytes_;
  std::vector<std::uint8_t> l2_bytes_;
  std::uint64_t table_ = ~std::uint64_t{0};
  bool table_present_ = false;
};

Status inflate_cluster(std::span<const std::uint8_t> from, std::span<std::uint8_t> to) {
  z_stream stream{};
  // QEMU writes raw deflate with a 4 KiB window.
  if (::inflateInit2(&stream, -12) != Z_OK) return fail(ErrorCode::resource_exhausted, "zlib has no memory");
  stream.next_in = const_cast<Bytef*>(from.data());
  stream.avail_in = static_cast<uInt>(from.size());
  stream.next_out = to.data();
  stream.avail_out = static_cast<uInt>(to.size());
  const int ended = ::inflate(&stream, Z_FINISH);
  const bool full = stream.avail_out == 0;
  ::inflateEnd(&stream);
  if (!full || (ended != Z_STREAM_END && ended != Z_BUF_ERROR))
    return damaged_data("a compressed cluster can't be read");
  return {};
}

Status unzstd_cluster(std::span<const std::uint8_t> from, std::span<std::uint8_t> to) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) return fail(ErrorCode::resource_exhausted, "zstd has no memory");
  ZSTD_inBuffer in{from.data(), from.size(), 0};
  ZSTD_outBuffer out{to.data(), to.size(), 0};
  // Bytes of the next cluster may follow in the last sector, so the stream is read until the cluster is full.
  while (out.pos < out.size) {
    const std::size_t in_before = in.pos;
    const std::size_t out_before = out.pos;
    const std::size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left) != 0U || (in.pos == in_before && out.pos == out_before)) {
      return damaged_data("a compressed cluster can't be read");
    }
  }
  return {};
}

}  // namespace

Result<ReadableImage> open_qcow2_image(UniqueFd file) {
  auto file_size = size_of(file.get());
  if (!file_size) return forward(file_size);
  auto header = read_header(file.get(), *file_size, BackingFile::refuse);
  if (!header) return forward(header);
  auto map = std::make_shared<Qcow2Map>(file.get(), *file_size, *header);
  if (auto loaded = map->load(header->l1_offset); !loaded) return forward(loaded);
  ReadableImage image;
  image.virtual_size = header->virtual_size;
  image.granularity = static_cast<std::uint32_t>(header->cluster_size());
  image.map = [map](std::uint64_t offset) { return map->at(offset); };
  image.decompress = header->compression == Qcow2Compression::zstd ? unzstd_cluster : inflate_cluster;
  image.file = std::move(file);
  return image;
}

Result<Qcow2Header> read_own_qcow2_header(int fd) {
  auto file_size = size_of(fd);
  if (!file_size) return forward(file_size);
  return read_header(fd, *file_size, BackingFile::allow);
}

}  // namespace bridgehead::storage
