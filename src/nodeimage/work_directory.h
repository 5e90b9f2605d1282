// A directory for one piece of work: fresh, for root only, locked while its process lives, removed at the end. Internal
// to this module. Not thread-safe; different ones are independent.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "nodeimage/builder.h"

namespace bridgehead::nodeimage {

class WorkDirectory {
 public:
  // <parent>/<prefix>.XXXXXX
  static Result<WorkDirectory> create(const std::filesystem::path& parent, std::string_view prefix);
  WorkDirectory(WorkDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  WorkDirectory& operator=(WorkDirectory&& other) noexcept;
  ~WorkDirectory();

  const std::filesystem::path& path() const { return path_; }
  // Hands over directory and lock.
  StagedImage release(Manifest manifest) {
    return StagedImage(std::exchange(path_, {}), std::move(manifest), std::move(lock_));
  }

 private:
  WorkDirectory(std::filesystem::path path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  void remove();

  std::filesystem::path path_;
  UniqueFd lock_;
};

// Removes those that nobody has locked: what processes left that were killed.
Status sweep_work(const std::filesystem::path& parent);

}  // namespace bridgehead::nodeimage
