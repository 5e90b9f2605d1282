#include "storage/qcow2_header.h"

#include <algorithm>

#include "storage/byte_order.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kVersion2Length = 72;
constexpr std::size_t kVersion3Length = 104;
constexpr std::uint64_t kDirty = 1U << 0;  // reference counts may be stale; the content's map isn't
constexpr std::uint64_t kCorrupt = 1U << 1;
constexpr std::uint64_t kDataFile = 1U << 2;
constexpr std::uint64_t kCompressionType = 1U << 3;
constexpr std::uint64_t kExtendedL2 = 1U << 4;
constexpr std::uint32_t kDataFileExtension = 0x44415441;
constexpr std::uint32_t kEncryptionExtension = 0x0537be77;
constexpr std::uint64_t kLargestL1 = 32 << 20;  // bytes; QEMU's own limit

tl::unexpected<Error> damaged_header(std::string what) {
  return fail_with_hint(ErrorCode::data_corrupt, "the qcow2 header is damaged: " + what,
                        "Check the image with 'qemu-img check' where it came from and send it again.");
}

tl::unexpected<Error> names_other_file(std::string_view what, std::string_view name) {
  return fail_with_hint(
      ErrorCode::permission_denied,
      fmt::format("the qcow2 image needs {} '{}', a file outside of it; that is refused because it could read any "
                  "file of this node",
                  what, name),
      "Make a self-contained image with 'qemu-img convert -O qcow2' on the machine that has that file.");
}

// Only what a terminal or a log can show.
std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes.substr(0, 200)) text += c >= 0x20 && c < 0x7f ? c : '?';
  return text;
}

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status check_features(std::uint64_t features) {
  if ((features & kCorrupt) != 0) return damaged_header("it is marked as corrupt");
  if ((features & kExtendedL2) != 0) {
    return fail_with_hint(ErrorCode::unsupported, "the qcow2 image uses extended L2 entries (subclusters)",
                          "Convert it with 'qemu-img convert -O qcow2' first.");
  }
  const std::uint64_t unknown = features & ~(kDirty | kCorrupt | kDataFile | kCompressionType | kExtendedL2);
  if (unknown != 0) {
    return fail_with_hint(ErrorCode::unsupported,
                          fmt::format("the qcow2 image uses unknown incompatible features ({:#x})", unknown),
                          "Convert it with 'qemu-img convert -O qcow2' first.");
  }
  return {};
}

Status check_extensions(std::span<const std::uint8_t> start, std::size_t offset, std::size_t end) {
  end = std::min(end, start.size());
  while (offset + 8 <= end) {
    const auto type = read_be<std::uint32_t>(start, offset);
    const auto length = read_be<std::uint32_t>(start, offset + 4);
    offset += 8;
    if (type == 0) return {};
    if (length > end - offset) return damaged_header("a header extension is longer than the header");
    if (type == kDataFileExtension) {
      return names_other_file("the external data file", printable(as_text(start.subspan(offset, length))));
    }
    if (type == kEncryptionExtension) {
      return fail_with_hint(ErrorCode::unsupported, "the qcow2 image is encrypted",
                            "Decrypt it with 'qemu-img convert' where its key is known.");
    }
    offset += (std::size_t{length} + 7) / 8 * 8;
  }
  return {};
}

Status check_geometry(const Qcow2Header& header, std::uint64_t file_size) {
  if (header.virtual_size > kLargestVirtualSize) {
    return damaged_header(
        fmt::format("it claims a size of {}, more than {}", header.virtual_size.human(), kLargestVirtualSize.human()));
  }
  const std::uint64_t per_table = header.cluster_size() / 8;
  const std::uint64_t clusters = (header.virtual_size.count() + header.cluster_size() - 1) / header.cluster_size();
  const std::uint64_t needed = (clusters + per_table - 1) / per_table;
  if (header.l1_entries < needed) return damaged_header("its L1 table is too small for its size");
  const std::uint64_t l1_bytes = std::uint64_t{header.l1_entries} * 8;
  if (l1_bytes > kLargestL1) return damaged_header("its L1 table is too large");
  if (needed == 0) return {};
  if (header.l1_offset % header.cluster_size() != 0 || header.l1_offset == 0) {
    return damaged_header("its L1 table isn't at a cluster's start");
  }
  if (header.l1_offset >= file_size || needed * 8 > file_size - header.l1_offset) {
    return damaged_header("its L1 table lies past the end of the file (is it cut off?)");
  }
  return {};
}

Status read_backing_name(std::span<const std::uint8_t> start, BackingFile backing, Qcow2Header& header) {
  const auto offset = read_be<std::uint64_t>(start, 8);
  if (offset == 0) return {};
  const auto length = read_be<std::uint32_t>(start, 16);
  if (length > 1023 || offset > start.size() || length > start.size() - offset) {
    return damaged_header("the name of its backing file lies outside of the header");
  }
  header.backing_file = std::string(as_text(start.subspan(offset, length)));
  if (backing == BackingFile::allow) return {};
  return names_other_file("the backing file", printable(header.backing_file));
}

}  // namespace

Result<Qcow2Header> parse_qcow2_header(std::span<const std::uint8_t> start, std::uint64_t file_size,
                                       BackingFile backing) {
  if (start.size() < kVersion2Length) return damaged_header("it is cut off");
  Qcow2Header header;
  if (read_be<std::uint32_t>(start, 0) != kQcow2Magic) return damaged_header("it isn't a qcow2 file");
  header.version = read_be<std::uint32_t>(start, 4);
  if (header.version != 2 && header.version != 3) {
    return fail_with_hint(ErrorCode::unsupported, fmt::format("qcow version {} is not supported", header.version),
                          "Convert it with 'qemu-img convert -O qcow2' first.");
  }
  header.cluster_bits = read_be<std::uint32_t>(start, 20);
  if (header.cluster_bits < 9 || header.cluster_bits > 21) {
    return damaged_header(fmt::format("cluster bits {} are not between 9 and 21", header.cluster_bits));
  }
  header.virtual_size = Bytes(read_be<std::uint64_t>(start, 24));
  header.l1_entries = read_be<std::uint32_t>(start, 36);
  header.l1_offset = read_be<std::uint64_t>(start, 40);
  if (read_be<std::uint32_t>(start, 32) != 0) {
    return fail_with_hint(ErrorCode::unsupported, "the qcow2 image is encrypted",
                          "Decrypt it with 'qemu-img convert' where its key is known.");
  }

  std::uint64_t features = 0;
  std::size_t header_length = kVersion2Length;
  if (header.version == 3) {
    if (start.size() < kVersion3Length) return damaged_header("it is cut off");
    features = read_be<std::uint64_t>(start, 72);
    header_length = read_be<std::uint32_t>(start, 100);
    if (header_length < kVersion3Length || header_length > header.cluster_size() || header_length % 8 != 0) {
      return damaged_header(fmt::format("header length {}", header_length));
    }
    if (read_be<std::uint32_t>(start, 96) > 6) return damaged_header("its reference counts are wider than 64 bits");
  }
  if (auto fine = read_backing_name(start, backing, header); !fine) return forward(fine);
  // Before the features: the data file's name says more to a person than the feature bit.
  const std::uint64_t name_at = read_be<std::uint64_t>(start, 8);
  const std::uint64_t extensions_end = name_at != 0 ? name_at : header.cluster_size();
  if (auto fine = check_extensions(start, header_length, extensions_end); !fine) return forward(fine);
  if ((features & kDataFile) != 0) return names_other_file("an external data file", "(not named)");
  if (auto fine = check_features(features); !fine) return forward(fine);
  if ((features & kCompressionType) != 0) {
    if (header_length <= kVersion3Length || start.size() <= kVersion3Length)
      return damaged_header("no compression type");
    const std::uint8_t type = start[kVersion3Length];
    if (type > 1) return fail(ErrorCode::unsupported, "qcow2 compression type {} is not supported", type);
    header.compression = type == 1 ? Qcow2Compression::zstd : Qcow2Compression::zlib;
  }
  if (auto fine = check_geometry(header, file_size); !fine) return forward(fine);
  return header;
}

}  // namespace bridgehead::storage
