#include "storage/readable_image.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace bridgehead::storage {
namespace {

// Rounded so that pieces stay aligned for O_DIRECT whatever granularity the file system reports.
constexpr std::uint64_t kExtentBlock = 4096;

Result<Extent> raw_extent(int fd, std::uint64_t size, std::uint64_t offset) {
  const off_t data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return Extent{offset, size - offset, ExtentKind::zero};
  if (data < 0) return Extent{offset, size - offset, ExtentKind::data, offset};  // no holes known here
  const std::uint64_t begin = std::min(size, static_cast<std::uint64_t>(data) / kExtentBlock * kExtentBlock);
  if (begin > offset) return Extent{offset, begin - offset, ExtentKind::zero};
  const off_t hole = ::lseek(fd, data, SEEK_HOLE);
  if (hole < 0) return fail_errno(errno, "find the holes of the image");
  const std::uint64_t end =
      std::min(size, (static_cast<std::uint64_t>(hole) + kExtentBlock - 1) / kExtentBlock * kExtentBlock);
  // A file that shrinks meanwhile could give an empty extent; the rest is then read as what is left of it.
  return Extent{offset, (end > offset ? end : size) - offset, ExtentKind::data, offset};
}

}  // namespace

Result<ReadableImage> open_raw_image(UniqueFd file) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "stat the image");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  ReadableImage image;
  image.virtual_size = Bytes(size);
  image.map = [fd = file.get(), size](std::uint64_t offset) { return raw_extent(fd, size, offset); };
  image.file = std::move(file);
  return image;
}

Result<Bytes> stored_bytes(const ReadableImage& image, Bytes enough) {
  std::uint64_t total = 0;
  for (std::uint64_t offset = 0; offset < image.virtual_size.count() && total <= enough.count();) {
    auto extent = image.map(offset);
    if (!extent) return forward(extent);
    if (extent->kind != ExtentKind::zero) total += extent->length;
    offset += extent->length;
  }
  return Bytes(total);
}

}  // namespace bridgehead::storage
