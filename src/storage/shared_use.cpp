#include "storage/shared_use.h"

#include <algorithm>
#include <array>

namespace bridgehead::storage {
namespace {

Status refuse(const MountEntry& mount, std::string_view why, std::string hint) {
  return fail_with_hint(
      ErrorCode::failed_precondition,
      fmt::format("{} ({}) can't hold a pool that hosts share: {}", mount.point.native(), mount.type, why),
      std::move(hint));
}

// With "localflock" two hosts get the same lock, silently: QEMU's image locks would protect nothing.
Status check_lustre(const MountEntry& mount) {
  if (mount.has("localflock")) {
    return refuse(mount, "mounted with 'localflock', a lock on one host isn't seen by the others",
                  "Mount it with the option 'flock'.");
  }
  if (mount.has("noflock") || !mount.has("flock")) {
    return refuse(mount, "mounted without 'flock', it has no locks", "Mount it with the option 'flock'.");
  }
  return {};
}

Status check_nfs(const MountEntry& mount) {
  for (const auto* option : {"nolock", "local_lock=all", "local_lock=flock", "local_lock=posix"}) {
    if (mount.has(option)) {
      return refuse(mount, fmt::format("mounted with '{}', a lock on one host isn't seen by the others", option),
                    "Mount it without that option, best as NFS 4.2.");
    }
  }
  if (mount.has("soft") || mount.has("softerr")) {
    return refuse(mount, "mounted 'soft', a slow server means lost writes", "Mount it with the option 'hard'.");
  }
  return {};
}

}  // namespace

Status check_shared_use(const MountEntry& mount) {
  static constexpr auto of_one_machine =
      std::to_array<std::string_view>({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "tmpfs",
                                       "ramfs", "overlay", "vfat", "rootfs"});
  if (std::find(of_one_machine.begin(), of_one_machine.end(), mount.type) != of_one_machine.end()) {
    return refuse(mount, "it is a file system of this machine alone",
                  "Mount the shared file system there first; for this machine's own disk use the driver 'local'.");
  }
  if (mount.has("ro")) return refuse(mount, "it is mounted read-only", "Mount it with the option 'rw'.");
  const auto kind = mount.file_system();
  if (kind == "lustre") return check_lustre(mount);
  if (kind == "nfs") return check_nfs(mount);
  return {};
}

Result<MountEntry> mount_under(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  std::error_code failed;
  const auto place = fs::canonical(fs::exists(directory, failed) ? directory : directory.parent_path(), failed);
  if (failed) {
    return fail_with_hint(ErrorCode::not_found, fmt::format("{} isn't there", directory.parent_path().native()),
                          "Mount the shared file system there on every node that is to have this pool.");
  }
  const auto table = read_mount_table();
  if (!table) return forward(table);
  auto mount = mount_of(*table, place);
  if (!mount) return fail(ErrorCode::not_found, "{} is on no mounted file system", place.native());
  return std::move(*mount);
}

}  // namespace bridgehead::storage
