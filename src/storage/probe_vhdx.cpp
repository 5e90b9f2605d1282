#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "storage/byte_order.h"
#include "storage/probe_formats.h"

namespace bridgehead::storage {
namespace {

using Guid = std::array<std::uint8_t, 16>;  // as stored: the first three fields little-endian

// [MS-VHDX] 2.2.3 and 2.6.
constexpr Guid kMetadataRegion{0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                               0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
constexpr Guid kFileParameters{0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
                               0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b};
constexpr Guid kVirtualSize{0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
                            0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8};
constexpr Guid kParentLocator{0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
                              0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c};
constexpr std::array<std::uint64_t, 2> kHeaders{64 << 10, 128 << 10};
constexpr std::array<std::uint64_t, 2> kRegionTables{192 << 10, 256 << 10};
constexpr std::size_t kTableLength = 64 << 10;
constexpr std::uint32_t kHasParent = 2;

bool is(std::span<const std::uint8_t> bytes, std::size_t offset, const Guid& guid) {
  return bytes.size() >= offset + guid.size() && std::memcmp(bytes.data() + offset, guid.data(), guid.size()) == 0;
}

bool begins(std::span<const std::uint8_t> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// The header with the higher sequence number is the valid one; its log must be empty.
Status check_log(const ImageBytes& bytes) {
  std::optional<std::uint64_t> newest;
  bool dirty = false;
  for (const std::uint64_t at : kHeaders) {
    auto header = bytes.read(at, 4096);
    if (!header) return forward(header);
    if (header->size() < 4096 || !begins(*header, "head")) continue;
    const auto sequence = read_le<std::uint64_t>(*header, 8);
    if (newest && sequence <= *newest) continue;
    newest = sequence;
    dirty = std::any_of(header->begin() + 48, header->begin() + 64, [](std::uint8_t byte) { return byte != 0; });
  }
  if (!newest) return damaged_image("vhdx", "it has no valid header");
  if (dirty) {
    return fail_with_hint(ErrorCode::failed_precondition, "the vhdx image was not closed cleanly: its log isn't empty",
                          "Open and close it once where it came from (or run 'qemu-img check -r all' on it).");
  }
  return {};
}

struct Region {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// The metadata region by one region table; nothing if the table isn't one.
Result<std::optional<Region>> metadata_region(const ImageBytes& bytes, std::uint64_t at) {
  auto table = bytes.read(at, kTableLength);
  if (!table) return forward(table);
  if (table->size() < 16 || !begins(*table, "regi")) return std::optional<Region>();
  const auto count = read_le<std::uint32_t>(*table, 8);
  if (count > 2047) return damaged_image("vhdx", "its region table is absurd");
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t entry = 16 + std::size_t{i} * 32;
    if (entry + 32 > table->size()) break;
    if (!is(*table, entry, kMetadataRegion)) continue;
    const Region place{read_le<std::uint64_t>(*table, entry + 16), read_le<std::uint32_t>(*table, entry + 24)};
    if (place.offset >= bytes.size || place.length > bytes.size - place.offset || place.length < kTableLength) {
      return damaged_image("vhdx", "its metadata lies past the end of the file (is it cut off?)");
    }
    return std::optional(place);
  }
  return damaged_image("vhdx", "it has no metadata");
}

Result<Bytes> check_metadata(const ImageBytes& bytes, const Region& region) {
  auto table = bytes.read(region.offset, kTableLength);
  if (!table) return forward(table);
  if (table->size() < kTableLength || !begins(*table, "metadata")) return damaged_image("vhdx", "no metadata table");
  const auto count = read_le<std::uint16_t>(*table, 10);
  if (count > 2047) return damaged_image("vhdx", "its metadata table is absurd");
  bool parameters_seen = false;
  std::optional<Bytes> size;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t entry = 32 + std::size_t{i} * 32;
    if (entry + 32 > table->size()) break;
    if (is(*table, entry, kParentLocator)) return needs_other_file("vhdx", "is a difference to a parent file");
    const auto offset = read_le<std::uint32_t>(*table, entry + 16);
    const auto length = read_le<std::uint32_t>(*table, entry + 20);
    if (offset > region.length || length > region.length - offset) {
      return damaged_image("vhdx", "a metadata item lies outside of the metadata");
    }
    if (!is(*table, entry, kFileParameters) && !is(*table, entry, kVirtualSize)) continue;
    auto item = bytes.read(region.offset + offset, 8);
    if (!item) return forward(item);
    if (item->size() < 8 || length < 8) return damaged_image("vhdx", "a metadata item is cut off");
    if (is(*table, entry, kVirtualSize)) {
      size = Bytes(read_le<std::uint64_t>(*item, 0));
      continue;
    }
    parameters_seen = true;
    if ((read_le<std::uint32_t>(*item, 4) & kHasParent) != 0) {
      return needs_other_file("vhdx", "is a difference to a parent file");
    }
    const auto block = read_le<std::uint32_t>(*item, 0);
    if (block < (1 << 20) || block > (256 << 20) || (block & (block - 1)) != 0) {
      return damaged_image("vhdx", "its block size is absurd");
    }
  }
  if (!parameters_seen || !size) return damaged_image("vhdx", "its metadata isn't complete");
  return *size;
}

}  // namespace

Result<ProbedImage> probe_vhdx(const ImageBytes& bytes) {
  if (auto fine = check_log(bytes); !fine) return forward(fine);
  std::optional<Bytes> size;
  // Both copies are judged: which one a reader believes depends on checksums.
  for (const std::uint64_t at : kRegionTables) {
    auto region = metadata_region(bytes, at);
    if (!region) return forward(region);
    if (!*region) continue;
    auto found = check_metadata(bytes, **region);
    if (!found) return forward(found);
    if (size && *size != *found) return damaged_image("vhdx", "its two region tables contradict each other");
    size = *found;
  }
  if (!size) return damaged_image("vhdx", "it has no region table");
  if (auto fine = check_virtual_size("vhdx", *size); !fine) return forward(fine);
  return ProbedImage{model::ImageFormat::vhdx, *size};
}

}  // namespace bridgehead::storage
