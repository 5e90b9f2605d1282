// Reads ustar archives as they are written by the manager for bundles: files, directories, symbolic and hard links.
// Pure: `TarReader` walks over bytes in memory. Hostile members (absolute names, "..", links that climb out, devices)
// are refused, with the whole archive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "result.h"

namespace bridgehead::init {

enum class MemberType { file, directory, symlink, hardlink };

struct TarMember {
  MemberType type = MemberType::file;
  std::string name;    // relative, without "." and ".."; empty: the root directory itself
  std::string target;  // of links; a hard link's is cleaned as names are
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string_view content;  // into the archive
};

class TarReader {
 public:
  explicit TarReader(std::string_view archive) : rest_(archive) {}
  // Nothing at the archive's end.
  Result<std::optional<TarMember>> next();

 private:
  std::string_view rest_;
};

}  // namespace bridgehead::init
