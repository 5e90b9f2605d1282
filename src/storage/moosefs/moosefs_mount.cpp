#include "storage/mount_plan.h"

namespace bridgehead::storage {

// Why each option: README.md beside this file.
MountPlan plan_moosefs_mount(const model::Pool& pool, const std::filesystem::path& point) {
  const auto source = model::split_source(pool.source);
  const auto colon = source.servers.rfind(':');
  const auto host = source.servers.substr(0, colon);
  const auto port = colon == std::string::npos ? std::string("9421") : source.servers.substr(colon + 1);
  std::string options = fmt::format("nodev,nosuid,mfsmaster={},mfsport={},mfssubfolder={},mfsioretries=999", host, port,
                                    source.folder.empty() ? "/" : source.folder);
  if (const auto file = option_or(pool, "password_file", ""); !file.empty()) options += ",mfspassfile=" + file;
  return {.ways = {{.command = {.program = "mfsmount",
                                .arguments = {point.native(), "-o", options},
                                .timeout = kMountPatience},
                    .package = "moosefs-client"}},
          .file_system = "moosefs"};
}

}  // namespace bridgehead::storage
