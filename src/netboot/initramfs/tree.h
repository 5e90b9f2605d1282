// RootTree: reads files of a root tree that nobody vouches for, as if the tree were "/". Symbolic links, absolute ones
// and
// "..", stay inside (openat2, RESOLVE_IN_ROOT); only regular files are opened, so no device or pipe is touched.
// Thread-safe. Errors: not_found, invalid_argument (not a regular file), resource_exhausted (over the limit), io_error.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/units.h"

namespace bridgehead::netboot {

class RootTree {
 public:
  static Result<RootTree> open(const std::filesystem::path& root);

  // Paths are relative to the tree; a leading slash means the same.
  Result<std::string> read(const std::string& path, Bytes limit) const;
  bool is_file(const std::string& path) const;
  bool is_directory(const std::string& path) const;
  // Names in a directory, sorted, at most 100,000; empty where there is no such directory.
  std::vector<std::string> list(const std::string& path) const;
  // Where a file really is, relative to the tree and free of symbolic links.
  Result<std::filesystem::path> real_path(const std::string& path) const;
  const std::filesystem::path& root() const { return root_; }

 private:
  RootTree(std::filesystem::path root, UniqueFd fd) : root_(std::move(root)), fd_(std::move(fd)) {}
  Result<UniqueFd> find(const std::string& path) const;       // O_PATH
  Result<UniqueFd> find_file(const std::string& path) const;  // O_PATH, a regular file
  std::string named(const std::string& path) const;           // for messages

  std::filesystem::path root_;
  UniqueFd fd_;
};

}  // namespace bridgehead::netboot
