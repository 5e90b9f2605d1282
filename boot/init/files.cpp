#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "text.h"

namespace bridgehead::init {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<std::string> read_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(concat("read ", path));
  std::string content;
  std::array<char, 8192> buffer;
  for (;;) {
    const auto count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(concat("read ", path));
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::string read_value(const std::string& path) {
  auto content = read_file(path);
  return content ? std::string(trim(*content)) : std::string();
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("write");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Status write_file(const std::string& path, std::string_view content, mode_t mode) {
  const auto slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) make_directories(path.substr(0, slash));
  const auto temporary = concat(path, ".new");
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file || ::fchmod(file.get(), mode) != 0) return fail_errno(concat("write ", path));
  if (auto written = write_all(file.get(), content); !written) return fail(concat("write ", path), written.error().why);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(concat("write ", path));
  return {};
}

bool write_value(const std::string& path, std::string_view value) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

void make_directories(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    ::mkdir(path.substr(0, end).c_str(), 0755);
    if (end == std::string::npos) return;
  }
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

std::string link_base_name(const std::string& path) {
  std::array<char, 4096> target;
  const auto count = ::readlink(path.c_str(), target.data(), target.size());
  if (count <= 0) return {};
  const std::string_view text(target.data(), static_cast<std::size_t>(count));
  return std::string(text.substr(text.rfind('/') + 1));
}

}  // namespace bridgehead::init
