// files.list: every file of a root with its hash, so that two images can be compared without opening them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>

#include "base/file.h"
#include "nodeimage/digest.h"
#include "nodeimage/manifest.h"

namespace bridgehead::nodeimage {
namespace {

char type_letter(mode_t mode) {
  if (S_ISDIR(mode)) return 'd';
  if (S_ISLNK(mode)) return 'l';
  if (S_ISCHR(mode)) return 'c';
  if (S_ISBLK(mode)) return 'b';
  if (S_ISFIFO(mode)) return 'p';
  if (S_ISSOCK(mode)) return 's';
  return 'f';
}

class Walk {
 public:
  Walk(dev_t device, std::vector<TreeEntry>& entries) : device_(device), entries_(entries) {}

  Status directory(UniqueFd fd, const std::string& path) {
    const int own = fd.release();
    const std::unique_ptr<DIR, int (*)(DIR*)> list(::fdopendir(own), ::closedir);
    while (const dirent* entry = ::readdir(list.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (name.find('\n') != std::string::npos) {
        return fail(ErrorCode::data_corrupt, "a name in {}/ contains a line break", path);
      }
      if (auto done = one(own, name, path + "/" + name); !done) return done;
    }
    return {};
  }

 private:
  Status one(int parent, const std::string& name, const std::string& path) {
    struct stat status {};
    if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, path);
    if (status.st_dev != device_) return fail(ErrorCode::failed_precondition, "{} is a mount point", path);
    TreeEntry entry{type_letter(status.st_mode),
                    static_cast<std::uint32_t>(status.st_mode & 07777),
                    status.st_uid,
                    status.st_gid,
                    0,
                    "-",
                    path};
    if (entry.type == 'f') {
      entry.size = static_cast<std::uint64_t>(status.st_size);
      auto hash = content(parent, name, path, status);
      if (!hash) return forward(hash);
      entry.value = std::move(*hash);
    } else if (entry.type == 'l') {
      std::string target(4096, '\0');
      const ssize_t size = ::readlinkat(parent, name.c_str(), target.data(), target.size());
      if (size < 0) return fail_errno(errno, path);
      target.resize(static_cast<std::size_t>(size));
      std::replace(target.begin(), target.end(), '\n', '?');
      entry.value = std::move(target);
    } else if (entry.type == 'c' || entry.type == 'b') {
      entry.value = fmt::format("{}:{}", major(status.st_rdev), minor(status.st_rdev));
    }
    entries_.push_back(std::move(entry));
    if (!S_ISDIR(status.st_mode)) return {};
    UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno(errno, path);
    return directory(std::move(fd), path);
  }

  // Hard links are read once.
  Result<std::string> content(int parent, const std::string& name, const std::string& path, const struct stat& status) {
    if (const auto known = hashes_.find(status.st_ino); known != hashes_.end()) return known->second;
    const UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return fail_errno(errno, path);
    auto hashed = hash_open_file(fd.get(), path);
    if (!hashed) return forward(hashed);
    if (status.st_nlink > 1) hashes_[status.st_ino] = hashed->sha256;
    return hashed->sha256;
  }

  dev_t device_;
  std::vector<TreeEntry>& entries_;
  std::map<ino_t, std::string> hashes_;
};

template <typename Number>
bool parse_number(std::string_view text, int base, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Result<std::vector<TreeEntry>> list_tree(const std::filesystem::path& tree) {
  auto fd = open_file(tree, O_RDONLY | O_DIRECTORY);
  if (!fd) return forward(fd);
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return fail_errno(errno, tree.native());
  std::vector<TreeEntry> entries;
  Walk walk(status.st_dev, entries);
  if (auto done = walk.directory(std::move(*fd), ""); !done) return forward(done);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return entries;
}

std::string format_list(const std::vector<TreeEntry>& entries) {
  std::string text;
  for (const auto& entry : entries) {
    // Tabs, because link targets may contain blanks; the path comes last and may contain anything but a line break.
    std::string value = entry.value.empty() ? "-" : entry.value;
    std::replace(value.begin(), value.end(), '\t', '?');
    text += fmt::format("{}\t{:04o}\t{}\t{}\t{}\t{}\t{}\n", entry.type, entry.mode, entry.uid, entry.gid, entry.size,
                        value, entry.path);
  }
  return text;
}

Result<std::vector<TreeEntry>> parse_list(std::string_view text) {
  std::vector<TreeEntry> entries;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = text.substr(start, end - start);
    start = end + 1;
    std::vector<std::string_view> fields;
    while (fields.size() < 6) {
      const std::size_t tab = line.find('\t');
      if (tab == std::string_view::npos) break;
      fields.push_back(line.substr(0, tab));
      line.remove_prefix(tab + 1);
    }
    TreeEntry entry;
    if (fields.size() != 6 || fields[0].size() != 1 || !parse_number(fields[1], 8, entry.mode) ||
        !parse_number(fields[2], 10, entry.uid) || !parse_number(fields[3], 10, entry.gid) ||
        !parse_number(fields[4], 10, entry.size) || !line.starts_with('/')) {
      return fail(ErrorCode::data_corrupt, "line {} of the file list is damaged", entries.size() + 1);
    }
    entry.type = fields[0][0];
    entry.value = fields[5];
    entry.path = line;
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace bridgehead::nodeimage
