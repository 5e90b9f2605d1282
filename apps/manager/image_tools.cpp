#include "manager/image_tools.h"

namespace bridgehead::manager {
namespace {

// What is configured; else the first of `candidates` that is there, or the last.
std::filesystem::path chosen(const std::filesystem::path& configured,
                             const std::vector<std::filesystem::path>& candidates) {
  if (!configured.empty()) return configured;
  for (const auto& one : candidates) {
    if (std::filesystem::exists(one)) return one;
  }
  return candidates.back();
}

}  // namespace

boot_services::ImageTools image_tools(const NetbootConfig& config) {
  std::error_code unknown;
  const auto programs = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  const auto prefix = programs.parent_path();
  return {.init = chosen(config.init, {programs / "bridgehead-init", prefix / "lib/bridgehead/bridgehead-init"}),
          .busybox = config.busybox,
          .agent_package = chosen(config.agent_package, {prefix / "share/bridgehead/bridgehead-agent.deb"}),
          .recipes = config.recipes,
          .import_directories = config.import_directories};
}

}  // namespace bridgehead::manager
