#include "nodeimage/tree.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/file.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;

UniqueFd open_inside(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root, name, &how, sizeof how);
    // EAGAIN: a rename somewhere on the system happened meanwhile and the kernel couldn't be sure.
    if (fd >= 0 || errno != EAGAIN || attempt == 100) return UniqueFd(static_cast<int>(fd));
  }
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

Status remove_children(int parent, const std::string& name, dev_t device) {
  UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("open {}", name));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, fmt::format("look at {}", name));
  if (status.st_dev != device) return fail(ErrorCode::failed_precondition, "{} is a mount point", name);
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (!directory) return fail_errno(errno, fmt::format("read {}", name));
  const int own = fd.release();
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string child = entry->d_name;
    if (child == "." || child == "..") continue;
    if (::unlinkat(own, child.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return fail_errno(errno, fmt::format("remove {}", child));
    if (auto removed = remove_children(own, child, device); !removed) return removed;
    if (::unlinkat(own, child.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      return fail_errno(errno, fmt::format("remove {}", child));
    }
  }
  return {};
}

// Opens the directory that `path` names, making what is missing of it.
Result<UniqueFd> make_inside(int root, const std::string& path) {
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    const std::string prefix = path.substr(0, end);
    if (open_inside(root, prefix, O_PATH | O_DIRECTORY)) continue;
    if (errno != ENOENT) return fail_errno(errno, fmt::format("open /{}", prefix));
    const auto slash = prefix.rfind('/');
    const auto parent =
        open_inside(root, slash == std::string::npos ? std::string() : prefix.substr(0, slash), O_PATH | O_DIRECTORY);
    const std::string name = slash == std::string::npos ? prefix : prefix.substr(slash + 1);
    if (!parent || ::mkdirat(parent.get(), name.c_str(), 0755) != 0) {
      if (errno == EEXIST) {
        return fail(ErrorCode::data_corrupt,
                    "/{} is a symbolic link that leads nowhere, and something is to lie below it", prefix);
      }
      return fail_errno(errno, fmt::format("make directory /{}", prefix));
    }
    // Whatever the umask is.
    if (::fchmodat(parent.get(), name.c_str(), 0755, 0) != 0)
      return fail_errno(errno, fmt::format("chmod /{}", prefix));
  }
  auto fd = open_inside(root, path, O_PATH | O_DIRECTORY);
  if (!fd) return fail_errno(errno, fmt::format("open /{}", path));
  return fd;
}

}  // namespace

Result<std::string> normal_path(std::string_view path) {
  std::string result;
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    start = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return fail(ErrorCode::data_corrupt, "the path '{}' contains '..'", path);
    if (part.size() > 255) return fail(ErrorCode::data_corrupt, "a name in '{}' is longer than 255 bytes", path);
    if (part.find_first_of(std::string_view("\0\n", 2)) != std::string_view::npos) {
      return fail(ErrorCode::data_corrupt, "a path contains a line break or a zero byte");
    }
    if (!result.empty()) result += '/';
    result += part;
  }
  if (result.size() > 4000) return fail(ErrorCode::data_corrupt, "a path is longer than 4000 bytes");
  return result;
}

Result<Tree> Tree::open(const fs::path& directory) {
  auto root = bridgehead::open_file(directory, O_PATH | O_DIRECTORY);
  if (!root) return forward(root);
  if (!open_inside(root->get(), "", O_PATH | O_DIRECTORY)) {
    return fail_with_hint(ErrorCode::unsupported, fmt::format("openat2: {}", std::strerror(errno)),
                          "Node images are made on Linux 5.6 or newer.");
  }
  return Tree(directory, std::move(*root));
}

Result<Tree::Place> Tree::place(std::string_view path, bool make_directories) const {
  auto normal = normal_path(path);
  if (!normal) return forward(normal);
  const auto slash = normal->rfind('/');
  const std::string parent = slash == std::string::npos ? std::string() : normal->substr(0, slash);
  std::string name = slash == std::string::npos ? *normal : normal->substr(slash + 1);
  auto fd = open_inside(root_.get(), parent, O_PATH | O_DIRECTORY);
  if (fd) return Place{std::move(fd), std::move(name)};
  if (errno != ENOENT || !make_directories) return fail_errno(errno, fmt::format("open /{}", parent));
  auto made = make_inside(root_.get(), parent);
  if (!made) return forward(made);
  return Place{std::move(*made), std::move(name)};
}

Result<UniqueFd> Tree::open_file(std::string_view path, int flags) const {
  const auto normal = normal_path(path);
  if (!normal) return forward(normal);
  // O_NONBLOCK: a fifo in the place of a file must not hold us up.
  auto fd = open_inside(root_.get(), *normal, flags | O_NONBLOCK | O_NOCTTY);
  if (!fd) return fail_errno(errno, fmt::format("open /{} in the tree", *normal));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(ErrorCode::data_corrupt, "/{} in the tree is not a regular file", *normal);
  }
  return fd;
}

Result<UniqueFd> Tree::open_directory(std::string_view path) const {
  const auto normal = normal_path(path);
  if (!normal) return forward(normal);
  auto fd = open_inside(root_.get(), *normal, O_RDONLY | O_DIRECTORY);
  if (!fd) return fail_errno(errno, fmt::format("open /{} in the tree", *normal));
  return fd;
}

Result<std::string> Tree::read(std::string_view path, Bytes limit) const {
  const auto fd = open_file(path);
  if (!fd) return forward(fd);
  return read_file(fmt::format("/proc/self/fd/{}", fd->get()), limit);
}

bool Tree::exists(std::string_view path) const {
  const auto normal = normal_path(path);
  return normal && open_inside(root_.get(), *normal, O_PATH);
}

Status Tree::put_file(std::string_view path, std::uint32_t mode, std::string_view content) const {
  const auto where = place(path, true);
  if (!where) return forward(where);
  if (auto removed = remove_entry(where->parent.get(), where->name); !removed) return removed;
  const UniqueFd fd(
      ::openat(where->parent.get(), where->name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, fmt::format("create {}", path));
  if (auto written = write_all(fd.get(), content, path); !written) return written;
  if (::fchmod(fd.get(), mode) != 0) return fail_errno(errno, fmt::format("chmod {}", path));
  return {};
}

Status Tree::put_link(std::string_view path, const std::string& target) const {
  const auto where = place(path, true);
  if (!where) return forward(where);
  if (auto removed = remove_entry(where->parent.get(), where->name); !removed) return removed;
  if (::symlinkat(target.c_str(), where->parent.get(), where->name.c_str()) != 0) {
    return fail_errno(errno, fmt::format("link {}", path));
  }
  return {};
}

Status Tree::remove(std::string_view path) const {
  const auto where = place(path);
  if (!where) return where.error().code == ErrorCode::not_found ? Status{} : forward(where);
  if (where->name.empty()) return fail(ErrorCode::invalid_argument, "the root itself can't be removed");
  return remove_entry(where->parent.get(), where->name);
}

Status remove_entry(int parent, const std::string& name) {
  if (name.empty()) return fail(ErrorCode::data_corrupt, "a file is to take the place of the root");
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_errno(errno, fmt::format("remove {}", name));
  struct stat status {};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("look at {}", name));
  }
  if (auto removed = remove_children(parent, name, status.st_dev); !removed) return removed;
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return fail_errno(errno, fmt::format("remove {}", name));
  }
  return {};
}

Status remove_tree(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const UniqueFd fd(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("open {}", parent.native()));
  return remove_entry(fd.get(), path.filename());
}

}  // namespace bridgehead::nodeimage
