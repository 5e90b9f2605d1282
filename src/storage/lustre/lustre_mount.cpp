#include "storage/mount_plan.h"

namespace bridgehead::storage {

// Why each option: README.md beside this file.
MountPlan plan_lustre_mount(const model::Pool& pool, const std::filesystem::path& point) {
  return {
      .ways = {{.command = {.program = "mount.lustre",
                            .arguments = {pool.source, point.native(), "-o", "nosuid,nodev,flock,user_xattr,noatime"},
                            .timeout = kMountPatience},
                .package = "lustre-client-utils and its kernel modules, of the servers' Lustre release"}},
      .file_system = "lustre"};
}

}  // namespace bridgehead::storage
