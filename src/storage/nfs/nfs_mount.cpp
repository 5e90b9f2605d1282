#include "storage/mount_plan.h"

namespace bridgehead::storage {

// Why each option: README.md beside this file.
MountPlan plan_nfs_mount(const model::Pool& pool, const std::filesystem::path& point) {
  std::string options = fmt::format(
      "nosuid,nodev,vers={},proto=tcp,hard,timeo=100,retrans=2,retry=0,lookupcache=positive,actimeo=3,noatime,nconnect="
      "{},sec={}",
      option_or(pool, "version", "4"), option_or(pool, "connections", "4"), option_or(pool, "security", "sys"));
  if (const auto port = option_or(pool, "port", ""); !port.empty()) options += ",port=" + port;
  return {.ways = {{.command = {.program = "mount.nfs",
                                .arguments = {pool.source, point.native(), "-o", options},
                                .timeout = kMountPatience},
                    .package = "nfs-common"}},
          .file_system = "nfs"};
}

}  // namespace bridgehead::storage
