// Writes into the new root from outside, as if that were /: links in it are followed inside it and lead nowhere else.
// One thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "files.h"
#include "result.h"
#include "tar_reader.h"

namespace bridgehead::init {

class RootTree {
 public:
  static Result<RootTree> open(const std::string& directory);

  // Replaces what is there, a link included; directories above are made. `path` is relative.
  Status write(const std::string& path, std::string_view content, mode_t mode);
  Status make_directory(const std::string& path);
  std::string read(const std::string& path) const;    // a link is followed; "" where there is no such file
  bool is_executable(const std::string& path) const;  // a link is followed
  Status unpack(std::string_view archive);            // a ustar archive (tar_reader.h)

 private:
  explicit RootTree(Fd root) : root_(std::move(root)) {}
  Fd resolve(const std::string& path, int flags) const;
  Result<Fd> parent_of(const std::string& path);
  Status add(const TarMember& member);

  Fd root_;
};

}  // namespace bridgehead::init
