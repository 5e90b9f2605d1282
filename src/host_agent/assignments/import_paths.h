// Which files of this node may be imported by path: regular files below the configured directories, after every
// symbolic link is resolved. Pure but for looking at the file system. The directories should be writable by
// administrators only: who can swap a file between this check and its opening can choose what is imported.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace bridgehead::host_agent {

// The resolved path. permission_denied (not below one of them; none configured), not_found, invalid_argument (not
// absolute, or no regular file).
Result<std::filesystem::path> check_import_path(const std::vector<std::filesystem::path>& directories,
                                                const std::string& location);

}  // namespace bridgehead::host_agent
