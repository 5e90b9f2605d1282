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

std::filesystem::path programs_directory() {
  std::error_code unknown;
  return std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
}

}  // namespace

std::filesystem::path agent_packages() { return programs_directory().parent_path() / "share/bridgehead/packages"; }

boot_services::ImageTools image_tools(const NetbootConfig& config) {
  const auto programs = programs_directory();
  const auto prefix = programs.parent_path();
  return {.init = chosen(config.init, {programs / "bridgehead-init", prefix / "lib/bridgehead/bridgehead-init"}),
          .busybox = config.busybox,
          .agent_package = chosen(config.agent_package, {prefix / "share/bridgehead/bridgehead-agent.deb"}),
          .recipes = config.recipes,
          .import_directories = config.import_directories};
}

}  // namespace bridgehead::manager
