#include "nodeimage/blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "nodeimage/digest.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTreePrefix = "t-";

// Names and values of the extended attributes, sorted.
std::string attributes_of(int fd) {
  std::string names(65536, '\0');
  const ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size <= 0) return {};
  names.resize(static_cast<std::size_t>(size));
  std::vector<std::string> sorted;
  std::size_t start = 0;
  while (start < names.size()) {
    const std::string name = names.c_str() + start;
    start += name.size() + 1;
    std::string value(65536, '\0');
    const ssize_t length = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    value.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    sorted.push_back(fmt::format("{}={}:{}", name, value.size(), value));
  }
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& one : sorted) text += one;
  return text;
}

}  // namespace

// The blob is linked over the file, or the file becomes the blob.
Status Blobs::share(int parent, const std::string& name, const std::string& key) const {
  const std::string_view digits = key.starts_with(kTreePrefix) ? std::string_view(key).substr(2) : key;
  const fs::path folder = directory_ / std::string(digits.substr(0, 2));
  if (auto made = make_directories(folder, 0700); !made) return made;
  const fs::path blob = folder / key;
  if (::linkat(parent, name.c_str(), AT_FDCWD, blob.c_str(), 0) == 0) return {};
  // A file with as many links as the file system allows stays alone.
  if (errno == EMLINK) return {};
  if (errno != EEXIST) return fail_errno(errno, fmt::format("link {}", blob.native()));
  const std::string temporary = name.substr(0, 200) + ".bridgehead-new";
  if (::linkat(AT_FDCWD, blob.c_str(), parent, temporary.c_str(), 0) != 0) {
    return errno == EMLINK ? Status{} : fail_errno(errno, fmt::format("link to {}", blob.native()));
  }
  if (::renameat(parent, temporary.c_str(), parent, name.c_str()) != 0) return fail_errno(errno, name);
  // rename(2) does nothing, and leaves both names, where both are the same file already.
  ::unlinkat(parent, temporary.c_str(), 0);
  return {};
}

Status Blobs::share_file(const fs::path& file, const std::string& sha256) const {
  if (!is_sha256(sha256)) return fail(ErrorCode::internal, "'{}' is no SHA-256", sha256);
  if (::chmod(file.c_str(), 0444) != 0) return fail_errno(errno, file.native());
  const auto fd = open_file(file, O_RDONLY);
  if (!fd) return forward(fd);
  if (::fsync(fd->get()) != 0) return fail_errno(errno, file.native());
  const auto parent = open_file(file.parent_path(), O_PATH | O_DIRECTORY);
  if (!parent) return forward(parent);
  return share(parent->get(), file.filename(), sha256);
}

Status Blobs::share_tree(const fs::path& root, const std::vector<TreeEntry>& entries) const {
  const auto tree = Tree::open(root);
  if (!tree) return forward(tree);
  for (const auto& entry : entries) {
    if (entry.type != 'f' || entry.size == 0) continue;
    const auto fd = tree->open_file(entry.path);
    if (!fd) return forward(fd);
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0) return fail_errno(errno, entry.path);
    // Hard links inside one tree stay what they are.
    if (status.st_nlink > 1) continue;
    const std::string key = fmt::format(
        "{}{}", kTreePrefix,
        sha256_of(fmt::format("{} {:o} {} {} {}.{} {}", entry.value, status.st_mode, status.st_uid, status.st_gid,
                              status.st_mtim.tv_sec, status.st_mtim.tv_nsec, attributes_of(fd->get()))));
    const auto place = tree->place(entry.path);
    if (!place) return forward(place);
    if (auto done = share(place->parent.get(), place->name, key); !done) return done;
  }
  return {};
}

Status Blobs::collect(const std::set<std::string>& referenced, std::uint64_t& files, Bytes& freed) const {
  const auto folders = list_directory(directory_);
  if (!folders) return forward(folders);
  for (const auto& folder : *folders) {
    const auto blobs = list_directory(folder);
    if (!blobs) return forward(blobs);
    for (const auto& blob : *blobs) {
      const std::string name = blob.filename();
      struct stat status {};
      if (::lstat(blob.c_str(), &status) != 0) continue;
      const bool used = name.starts_with(kTreePrefix) ? status.st_nlink > 1 : referenced.contains(name);
      if (used) continue;
      if (auto removed = remove_file(blob); !removed) return removed;
      ++files;
      // Somebody else's link, such as the build cache's, keeps the bytes.
      if (status.st_nlink == 1) freed += Bytes(static_cast<std::uint64_t>(status.st_blocks) * 512);
    }
  }
  return {};
}

}  // namespace bridgehead::nodeimage
