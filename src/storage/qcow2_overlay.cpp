#include "storage/qcow2_overlay.h"

#include "storage/byte_order.h"
#include "storage/qcow2_header.h"

namespace bridgehead::storage {
namespace {

constexpr std::uint32_t kClusterBits = 16;
constexpr std::uint64_t kCluster = 1 << kClusterBits;
constexpr std::uint64_t kPerL2 = kCluster / 8;
constexpr std::size_t kOverlayHeaderLength = 104;
constexpr std::uint32_t kBackingFormatExtension = 0xe2792aca;
constexpr std::size_t kLongestName = 1023;
constexpr std::string_view kBackingFormat = "raw";

}  // namespace

Result<std::string> qcow2_overlay(const std::string& name, Bytes virtual_size) {
  if (name.size() > kLongestName) {
    return fail(ErrorCode::invalid_argument, "'{}' can't be a backing file: its name may have {} bytes", name,
                kLongestName);
  }
  if (virtual_size > kLargestVirtualSize) {
    return fail(ErrorCode::invalid_argument, "a disk of {} is too large", virtual_size.human());
  }
  // Clusters: 0 header, 1 reference count table, 2 its first block, from 3 on the L1 table.
  const std::uint64_t span = kCluster * kPerL2;
  const std::uint64_t l1_entries = (virtual_size.count() + span - 1) / span;
  const std::uint64_t l1_clusters = std::max<std::uint64_t>(1, (l1_entries * 8 + kCluster - 1) / kCluster);
  std::string file((3 + l1_clusters) * kCluster, '\0');
  const std::span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(file.data()), file.size());

  const std::size_t extension_length = 8 + 8;  // "raw" padded
  const std::size_t name_at = kOverlayHeaderLength + extension_length + 8;
  write_be<std::uint32_t>(bytes, 0, kQcow2Magic);
  write_be<std::uint32_t>(bytes, 4, 3);
  if (!name.empty()) {
    write_be<std::uint64_t>(bytes, 8, name_at);
    write_be<std::uint32_t>(bytes, 16, static_cast<std::uint32_t>(name.size()));
  }
  write_be<std::uint32_t>(bytes, 20, kClusterBits);
  write_be<std::uint64_t>(bytes, 24, virtual_size.count());
  write_be<std::uint32_t>(bytes, 36, static_cast<std::uint32_t>(l1_entries));
  write_be<std::uint64_t>(bytes, 40, 3 * kCluster);
  write_be<std::uint64_t>(bytes, 48, kCluster);
  write_be<std::uint32_t>(bytes, 56, 1);
  write_be<std::uint32_t>(bytes, 96, 4);  // reference counts of 16 bits
  write_be<std::uint32_t>(bytes, 100, kOverlayHeaderLength);
  if (!name.empty()) {
    write_be<std::uint32_t>(bytes, kOverlayHeaderLength, kBackingFormatExtension);
    write_be<std::uint32_t>(bytes, kOverlayHeaderLength + 4, kBackingFormat.size());
    file.replace(kOverlayHeaderLength + 8, kBackingFormat.size(), kBackingFormat);
    file.replace(name_at, name.size(), name);
  }

  write_be<std::uint64_t>(bytes, kCluster, 2 * kCluster);
  for (std::uint64_t used = 0; used < 3 + l1_clusters; ++used) {
    write_be<std::uint16_t>(bytes, 2 * kCluster + used * 2, 1);
  }
  return file;
}

}  // namespace bridgehead::storage
