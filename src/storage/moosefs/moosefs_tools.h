// What MooseFS does by its tools: commands as values, and what their output says. Pure.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/command.h"

namespace bridgehead::storage::moosefs {

// A new file that shares the chunks of another: milliseconds at any size. Absolute paths on one mount.
Command snapshot_command(const std::filesystem::path& source, const std::filesystem::path& target);

Command set_class_command(const std::string& storage_class, const std::filesystem::path& file);
Command get_class_command(const std::filesystem::path& file);
// "/mnt/a.raw: fast" -> "fast"; "" for anything else.
std::string parse_class(std::string_view output);

}  // namespace bridgehead::storage::moosefs
