// Small files and directories. Free functions and one RAII directory; thread-safe as the file system is.
// Fails with the errno's code and a message that names the path.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/units.h"

namespace bridgehead {

Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);

// Whole file; refuses more than `limit` so that a wrong path can't eat the memory.
Result<std::string> read_file(const std::filesystem::path& path, Bytes limit = 16_MiB);

// Written to a temporary name (default: <path>.new), synced, renamed, directory synced: after a crash either old or new
// is there. What a crash leaves under the temporary name is taken over by the next write; two at once come one after
// the other.
Status write_file_atomic(const std::filesystem::path& path, std::string_view content, mode_t mode = 0600,
                         std::filesystem::path temporary = {});

Status write_all(int fd, std::string_view bytes, std::string_view what);
Status make_directories(const std::filesystem::path& path, mode_t mode = 0755);
// Makes `link` a symbolic link to `target`, in place of one to something else in one step; nothing where it is one
// already. A crash may leave a hidden one beside it, which the next call takes over.
Status point_link(const std::filesystem::path& link, const std::filesystem::path& target);
// Missing is success.
Status remove_file(const std::filesystem::path& path);
Status sync_directory(const std::filesystem::path& path);
// The paths of all that is in it, in order. All or an error: `for (... : directory_iterator)` throws where a file
// system fails in the middle.
Result<std::vector<std::filesystem::path>> list_directory(const std::filesystem::path& path);

// A fresh directory, removed with all it holds at the end of its scope.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> create(std::string_view prefix = "bridgehead");
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace bridgehead
