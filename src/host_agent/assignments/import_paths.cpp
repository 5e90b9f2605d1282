#include "host_agent/assignments/import_paths.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace bridgehead::host_agent {
namespace fs = std::filesystem;

namespace {

bool is_below(const fs::path& path, const fs::path& directory) {
  const auto [in_directory, in_path] = std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
  return in_directory == directory.end() && in_path != path.end();
}

}  // namespace

Result<fs::path> check_import_path(const std::vector<fs::path>& directories, const std::string& location) {
  const fs::path asked(location);
  if (!asked.is_absolute() || location.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument, "'{}' is not an absolute path", location);
  }
  // The same answer whether the file exists or not: nobody learns what lies elsewhere on this node.
  const auto refused = fail_with_hint(
      ErrorCode::permission_denied, fmt::format("'{}' is not in an import directory of this node", location),
      directories.empty()
          ? "Set import_directories in /etc/bridgehead/agent.toml on the node, or upload the file."
          : "Put the file below one of import_directories of /etc/bridgehead/agent.toml, or upload it.");
  std::error_code error;
  const auto resolved = fs::canonical(asked, error);
  const auto& path = error ? asked.lexically_normal() : resolved;
  const bool allowed = std::any_of(directories.begin(), directories.end(), [&](const fs::path& directory) {
    std::error_code missing;
    const auto root = fs::canonical(directory, missing);
    return !missing && is_below(path, root);
  });
  if (!allowed) return refused;
  if (error) return fail_errno(error.value(), fmt::format("open {}", location));
  struct stat status {};
  if (::lstat(resolved.c_str(), &status) != 0) return fail_errno(errno, fmt::format("open {}", location));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::invalid_argument, "'{}' is not a regular file", location);
  return resolved;
}

}  // namespace bridgehead::host_agent
