#include "storage/file_space.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/file.h"

namespace bridgehead::storage {
namespace {

constexpr char kDigestAttribute[] = "user.bridgehead.sha256";

}  // namespace

Bytes Space::usable() const {
  // No size at all isn't told by a full file system, but by one that doesn't know yet: writing finds out.
  if (total == Bytes()) return Bytes(~std::uint64_t{0} >> 1);
  const std::uint64_t reserve = std::min((1_GiB).count(), total.count() / 20);
  return Bytes(available.count() - std::min(available.count(), reserve));
}

Result<Space> space_of(const std::filesystem::path& directory) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0)
    return fail_errno(errno, fmt::format("statvfs {}", directory.native()));
  return Space{Bytes(std::uint64_t{status.f_blocks} * status.f_frsize),
               Bytes(std::uint64_t{status.f_bavail} * status.f_frsize)};
}

Result<StoredImage> stored_file(const std::filesystem::path& path, model::ImageFormat format) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(errno, fmt::format("image {}", path.native()));
  StoredImage image{.path = path,
                    .format = format,
                    .virtual_size = Bytes(static_cast<std::uint64_t>(status.st_size)),
                    .allocated = Bytes(static_cast<std::uint64_t>(status.st_blocks) * 512)};
  std::array<char, 65> digest{};
  const ssize_t length = ::getxattr(path.c_str(), kDigestAttribute, digest.data(), digest.size());
  if (length == 64) image.sha256.assign(digest.data(), 64);
  return image;
}

Status remember_digest(int fd, const std::string& sha256) {
  if (sha256.empty()) return {};
  if (::fsetxattr(fd, kDigestAttribute, sha256.data(), sha256.size(), 0) != 0) {
    return fail_errno(errno, "keep the digest beside the image");
  }
  return {};
}

void forget_digest(int fd) { (void)::fremovexattr(fd, kDigestAttribute); }

Result<bool> clone_file(int source, const std::filesystem::path& target) {
  auto file = open_file(target, O_RDWR | O_CREAT | O_EXCL);
  if (!file) return forward(file);
  if (::ioctl(file->get(), FICLONE, source) == 0) return true;
  const int why = errno;
  ::unlink(target.c_str());
  if (why == EOPNOTSUPP || why == ENOTTY || why == EXDEV || why == EINVAL || why == ENOSYS) return false;
  return fail_space(why, fmt::format("clone into {}", target.native()));
}

tl::unexpected<Error> fail_space(int error_number, std::string_view what) {
  auto failure = fail_errno(error_number, what);
  if (failure.value().code == ErrorCode::resource_exhausted) {
    failure.value().hint = "Free space in the pool, then try again.";
  }
  return failure;
}

}  // namespace bridgehead::storage
