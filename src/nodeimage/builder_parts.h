// Shared by the builder's parts. Internal to this module.
#pragma once

#include <filesystem>
#include <stop_token>

#include "base/command.h"
#include "base/result.h"

namespace bridgehead::nodeimage {

// With owners, modes, times, links and extended attributes.
Status copy_tree(CommandRunner& runner, const std::filesystem::path& from, const std::filesystem::path& to,
                 std::stop_token stop);

}  // namespace bridgehead::nodeimage
