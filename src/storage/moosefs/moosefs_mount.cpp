#include "storage/moosefs/moosefs_sessions.h"
#include "storage/mount_plan.h"

namespace bridgehead::storage {

// Why each option: README.md beside this file.
MountPlan plan_moosefs_mount(const model::Pool& pool, const std::filesystem::path& point) {
  const auto source = model::split_source(pool.source);
  const auto master = moosefs::master_of(pool);
  std::string options = fmt::format("nodev,nosuid,mfsmaster={},mfsport={},mfssubfolder={},mfsioretries=999",
                                    master.host, master.port, source.folder.empty() ? "/" : source.folder);
  if (const auto file = option_or(pool, "password_file", ""); !file.empty()) options += ",mfspassfile=" + file;
  return {.ways = {{.command = {.program = "mfsmount",
                                .arguments = {point.native(), "-o", options},
                                .timeout = kMountPatience},
                    .package = "moosefs-client"}},
          .file_system = "moosefs"};
}

}  // namespace bridgehead::storage
