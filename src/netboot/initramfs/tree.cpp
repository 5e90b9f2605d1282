#include "netboot/initramfs/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"

namespace bridgehead::netboot {
namespace {

constexpr std::size_t kMaxEntries = 100'000;

// glibc 2.36 has no wrapper. EAGAIN: a rename raced with the walk.
int open_in_root(int root, const char* path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    const auto fd = static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == 100) return fd;
  }
}

std::string magic_link(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

Result<std::filesystem::path> path_of_descriptor(int fd) {
  std::error_code error;
  auto path = std::filesystem::read_symlink(magic_link(fd), error);
  if (error) return fail_errno(error.value(), "read a path from /proc");
  return path;
}

}  // namespace

Result<RootTree> RootTree::open(const std::filesystem::path& root) {
  auto fd = open_file(root, O_PATH | O_DIRECTORY);
  if (!fd) return forward(fd);
  return RootTree(root, std::move(*fd));
}

std::string RootTree::named(const std::string& path) const { return (root_ / path).native(); }

Result<UniqueFd> RootTree::find(const std::string& path) const {
  UniqueFd fd(open_in_root(fd_.get(), path.c_str(), O_PATH));
  if (!fd) return fail_errno(errno, fmt::format("find {}", named(path)));
  return fd;
}

Result<UniqueFd> RootTree::find_file(const std::string& path) const {
  auto fd = find(path);
  if (!fd) return fd;
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return fail_errno(errno, fmt::format("look at {}", named(path)));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::invalid_argument, "{} is not a regular file", named(path));
  return fd;
}

Result<std::string> RootTree::read(const std::string& path, Bytes limit) const {
  const auto fd = find_file(path);
  if (!fd) return forward(fd);
  auto content = read_file(magic_link(fd->get()), limit);
  if (!content) {
    auto error = content.error();
    error.message = fmt::format("{}: {}", named(path), error.message);
    return fail(std::move(error));
  }
  return content;
}

bool RootTree::is_file(const std::string& path) const { return find_file(path).has_value(); }

bool RootTree::is_directory(const std::string& path) const {
  return UniqueFd(open_in_root(fd_.get(), path.c_str(), O_PATH | O_DIRECTORY)).get() >= 0;
}

std::vector<std::string> RootTree::list(const std::string& path) const {
  std::vector<std::string> names;
  UniqueFd fd(open_in_root(fd_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK));
  if (!fd) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd.get()), &::closedir);
  if (!directory) return names;
  fd.release();  // closedir's now
  while (const dirent* entry = ::readdir(directory.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
    if (names.size() == kMaxEntries) break;
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::filesystem::path> RootTree::real_path(const std::string& path) const {
  const auto file = find_file(path);
  if (!file) return forward(file);
  const auto inside = path_of_descriptor(file->get());
  const auto root = path_of_descriptor(fd_.get());
  if (!inside) return inside;
  if (!root) return root;
  return inside->lexically_relative(*root);
}

}  // namespace bridgehead::netboot
