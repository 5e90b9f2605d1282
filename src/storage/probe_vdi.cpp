#include <algorithm>

#include "storage/byte_order.h"
#include "storage/probe_formats.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kVdiHeaderLength = 512;
constexpr std::uint32_t kVersion11 = 0x00010001;
constexpr std::uint32_t kDynamic = 1;
constexpr std::uint32_t kFixed = 2;
constexpr std::size_t kLinkUuid = 0x1a8;  // of the image this one is a difference to
constexpr std::size_t kParentUuid = 0x1b8;
constexpr std::size_t kUuidLength = 16;

bool any(std::span<const std::uint8_t> bytes) {
  return std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; });
}

}  // namespace

Result<ProbedImage> probe_vdi(const ImageBytes& bytes) {
  auto read = bytes.read(0, kVdiHeaderLength);
  if (!read) return forward(read);
  const std::span<const std::uint8_t> header = *read;
  if (header.size() < kVdiHeaderLength) return damaged_image("vdi", "it is cut off");
  const auto version = read_le<std::uint32_t>(header, 0x44);
  if (version != kVersion11) {
    return fail(ErrorCode::unsupported, "vdi version {}.{} is not supported", version >> 16, version & 0xffff);
  }
  const auto kind = read_le<std::uint32_t>(header, 0x4c);
  const auto map_at = read_le<std::uint32_t>(header, 0x154);
  const auto data_at = read_le<std::uint32_t>(header, 0x158);
  const auto size = read_le<std::uint64_t>(header, 0x170);
  const auto block = read_le<std::uint32_t>(header, 0x178);
  const auto blocks = read_le<std::uint32_t>(header, 0x180);
  const auto allocated = read_le<std::uint32_t>(header, 0x184);
  if ((kind != kDynamic && kind != kFixed) || any(header.subspan(kLinkUuid, kUuidLength)) ||
      any(header.subspan(kParentUuid, kUuidLength))) {
    return needs_other_file("vdi", "is a difference to another image");
  }
  if (auto fine = check_virtual_size("vdi", Bytes(size)); !fine) return forward(fine);
  if (block != 1 << 20) return damaged_image("vdi", fmt::format("blocks of {} bytes are not supported", block));
  if (blocks < (size + block - 1) / block || allocated > blocks) {
    return damaged_image("vdi", "its number of blocks doesn't fit its size");
  }
  const std::uint64_t map_length = std::uint64_t{blocks} * 4;
  if (map_at < kVdiHeaderLength || map_at > bytes.size || map_length > bytes.size - map_at || data_at > bytes.size) {
    return damaged_image("vdi", "its block map lies past the end of the file (is it cut off?)");
  }
  return ProbedImage{model::ImageFormat::vdi, Bytes(size)};
}

}  // namespace bridgehead::storage
