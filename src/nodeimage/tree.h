// A root tree that nobody trusts: every path is resolved inside it by the kernel (openat2, RESOLVE_IN_ROOT), whatever
// its symbolic links say; the last component is never followed when something is made or removed. Linux 5.6 or newer.
// As thread-safe as a directory. Errors: data_corrupt (a path with "..", a link that leads nowhere), not_found, those
// of the file system.
#pragma once

#include <fcntl.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/units.h"

namespace bridgehead::nodeimage {

class Tree {
 public:
  static Result<Tree> open(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  int fd() const { return root_.get(); }

  // A directory of the tree and a name in it.
  struct Place {
    UniqueFd parent;
    std::string name;  // empty: the root itself
  };
  // `path` may begin with "/" or "./"; missing directories are made (0755) if asked for.
  Result<Place> place(std::string_view path, bool make_directories = false) const;

  Result<UniqueFd> open_file(std::string_view path, int flags = O_RDONLY) const;  // follows links; regular files only
  Result<UniqueFd> open_directory(std::string_view path) const;
  Result<std::string> read(std::string_view path, Bytes limit = 16_MiB) const;
  bool exists(std::string_view path) const;  // links are followed

  // Replace what is there, owned by root.
  Status put_file(std::string_view path, std::uint32_t mode, std::string_view content) const;
  Status put_link(std::string_view path, const std::string& target) const;
  Status remove(std::string_view path) const;  // with all it holds; missing is success

 private:
  Tree(std::filesystem::path directory, UniqueFd root) : directory_(std::move(directory)), root_(std::move(root)) {}

  std::filesystem::path directory_;
  UniqueFd root_;
};

// Removes a directory entry and all below it; never follows a link, never leaves the file system.
Status remove_entry(int parent, const std::string& name);
Status remove_tree(const std::filesystem::path& path);

// "/usr/./bin//x" -> "usr/bin/x"; data_corrupt for "..", control characters, and names longer than Linux takes.
Result<std::string> normal_path(std::string_view path);

}  // namespace bridgehead::nodeimage
