// What is mounted, as the kernel tells it (/proc/self/mountinfo, proc(5)). Reading it never touches a mounted file
// system, so it can't hang with one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bridgehead::storage {

struct MountEntry {
  std::filesystem::path point;
  std::string type;     // "nfs4", "fuse.mfs"
  std::string source;   // "10.0.0.5:/export"
  std::string options;  // "rw,relatime,vers=4.2,hard": the mount's and the file system's
  std::string device;   // "0:43": another one each time that a file system is mounted which is no disk
  std::string root;     // what of the file system is there: "/", or what was bound

  bool has(std::string_view option) const;  // "flock"; for "vers=4.2" the whole of it
  // "nfs", "moosefs", "cephfs" or "lustre", whichever client mounted it; any other type as it is.
  std::string file_system() const;
  // "nfs4 10.0.0.5:/export rw,hard", for people.
  std::string describe() const;
  // The same mount at the same place, whatever its options.
  bool is_same(const MountEntry& other) const;
  bool operator==(const MountEntry&) const = default;
};

// In the order of mounting; lines that can't be understood are left out.
std::vector<MountEntry> parse_mount_table(std::string_view mountinfo);
Result<std::vector<MountEntry>> read_mount_table();

// The one exactly at this place (the last, if several lie over each other); nothing if none is.
std::optional<MountEntry> mount_at(const std::vector<MountEntry>& table, const std::filesystem::path& point);
// The one that a path is in: the longest prefix. Paths as written; no link is followed.
std::optional<MountEntry> mount_of(const std::vector<MountEntry>& table, const std::filesystem::path& path);

// Where a directory really is: without symbolic links, and on what.
struct Place {
  std::filesystem::path root;
  std::optional<MountEntry> mount;
};
// Looks at the file system, unlike the others.
Result<Place> place_of(const std::filesystem::path& directory);

}  // namespace bridgehead::storage
