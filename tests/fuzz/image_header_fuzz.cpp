// Headers of disk images that nobody vouches for: the probe of every format, the wrapper's probe, the qcow2 map and its
// compressed clusters. Nothing may crash, hang, read out of bounds or allocate without bounds.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "storage/image_probe.h"
#include "storage/qcow2_header.h"
#include "storage/qcow2_image.h"

namespace {

using namespace bridgehead;
using namespace bridgehead::storage;

// Walks the map as the copy engine does, over at most `kExtents` extents.
void walk(std::span<const std::uint8_t> bytes) {
  constexpr int kExtents = 256;
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  require(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "memfd");
  auto image = open_qcow2_image(std::move(file));
  if (!image) return;
  std::vector<std::uint8_t> cluster(image->granularity);
  std::uint64_t offset = 0;
  for (int i = 0; i < kExtents && offset < image->virtual_size.count(); ++i) {
    const auto extent = image->map(offset);
    if (!extent) return;
    require(extent->offset == offset && extent->length > 0, "the map stands still");
    require(extent->length <= image->virtual_size.count() - offset, "the map leaves the image");
    if (extent->kind == ExtentKind::compressed) {
      require(extent->file_offset < bytes.size() && extent->file_length <= bytes.size() - extent->file_offset,
              "a compressed cluster leaves the file");
      (void)image->decompress(bytes.subspan(extent->file_offset, extent->file_length), cluster);
    }
    offset += extent->length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  (void)probe_compression(bytes);
  (void)check_plain_content(bytes_of_memory(bytes));
  (void)parse_qcow2_header(bytes, size, BackingFile::allow);
  if (const auto probed = probe_image(bytes_of_memory(bytes)); probed && probed->format == model::ImageFormat::qcow2) {
    require(parse_qcow2_header(bytes.first(std::min(bytes.size(), kProbeLength)), size)->backing_file.empty(),
            "an image with a backing file was accepted");
    walk(bytes);
  }
  return 0;
}
