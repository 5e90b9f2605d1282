#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace bridgehead {
namespace fs = std::filesystem;

Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, fmt::format("open {}", path.native()));
  return fd;
}

Result<std::string> read_file(const fs::path& path, Bytes limit) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return forward(fd);
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd->get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, fmt::format("read {}", path.native()));
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > limit.count()) {
      return fail(ErrorCode::resource_exhausted, "{} is larger than {}", path.native(), limit.human());
    }
  }
}

Status write_all(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, fmt::format("write {}", what));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

namespace {

// The file of that name, locked and empty. Another writer of it may rename or remove it before we have the lock.
Result<UniqueFd> open_temporary(const fs::path& temporary) {
  for (;;) {
    auto fd = open_file(temporary, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (!fd) return fd;
    while (::flock(fd->get(), LOCK_EX) != 0) {
      if (errno != EINTR) return fail_errno(errno, fmt::format("lock {}", temporary.native()));
    }
    struct stat opened {};
    struct stat named {};
    if (::fstat(fd->get(), &opened) != 0) return fail_errno(errno, fmt::format("look at {}", temporary.native()));
    const bool ours = ::lstat(temporary.c_str(), &named) == 0 && named.st_ino == opened.st_ino;
    if (!ours) continue;
    if (::ftruncate(fd->get(), 0) != 0) return fail_errno(errno, fmt::format("empty {}", temporary.native()));
    return fd;
  }
}

}  // namespace

Status write_file_atomic(const fs::path& path, std::string_view content, mode_t mode, fs::path temporary) {
  if (temporary.empty()) temporary = path.native() + ".new";
  const auto fd = open_temporary(temporary);
  if (!fd) return forward(fd);
  Status written;
  // First: what is written may be a secret.
  if (::fchmod(fd->get(), mode) != 0) written = fail_errno(errno, fmt::format("chmod {}", path.native()));
  if (written) written = write_all(fd->get(), content, path.native());
  if (written && ::fsync(fd->get()) != 0) written = fail_errno(errno, fmt::format("sync {}", path.native()));
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = fail_errno(errno, fmt::format("rename to {}", path.native()));
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_directory(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

Status make_directories(const fs::path& path, mode_t mode) {
  if (path.empty()) return {};
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == EEXIST) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return fail(ErrorCode::failed_precondition, "{} exists and is not a directory", path.native());
  }
  if (errno != ENOENT || !path.has_parent_path() || path.parent_path() == path) {
    return fail_errno(errno, fmt::format("create directory {}", path.native()));
  }
  if (auto parent = make_directories(path.parent_path(), 0755); !parent) return parent;
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return fail_errno(errno, fmt::format("create directory {}", path.native()));
  }
  return {};
}

Status point_link(const fs::path& link, const fs::path& target) {
  std::error_code error;
  if (fs::read_symlink(link, error) == target) return {};
  const auto fresh = link.parent_path() / fmt::format(".{}.new", link.filename().native());
  if (auto removed = remove_file(fresh); !removed) return removed;
  fs::create_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, link, error);
  if (error) return fail_errno(error.value(), fmt::format("make the link {}", link.native()));
  return {};
}

Status remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("remove {}", path.native()));
  return {};
}

Status sync_directory(const fs::path& path) {
  auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return forward(fd);
  if (::fsync(fd->get()) != 0) return fail_errno(errno, fmt::format("sync directory {}", path.native()));
  return {};
}

Result<std::vector<fs::path>> list_directory(const fs::path& path) {
  std::vector<fs::path> entries;
  std::error_code failed;
  for (fs::directory_iterator at(path, failed); !failed && at != fs::directory_iterator(); at.increment(failed)) {
    entries.push_back(at->path());
  }
  if (failed) return fail_errno(failed.value(), fmt::format("list {}", path.native()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

Result<TemporaryDirectory> TemporaryDirectory::create(std::string_view prefix) {
  const char* base = std::getenv("TMPDIR");
  std::string name = fmt::format("{}/{}-XXXXXX", base != nullptr && *base != '\0' ? base : "/tmp", prefix);
  if (::mkdtemp(name.data()) == nullptr) return fail_errno(errno, fmt::format("create directory {}", name));
  return TemporaryDirectory(fs::path(name));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace bridgehead
