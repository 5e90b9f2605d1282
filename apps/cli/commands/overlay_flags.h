// Files laid over a node's root: the flags that `profile set` and `node set` share, and how their files are shown.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace bridgehead::cli {

struct OverlayFlags {
  std::vector<std::string> files, secret_files;
  bool no_files = false, no_secret_files = false;
};

void add_overlay_flags(CLI::App& command, OverlayFlags& flags);
// Reads the local files into the fields `files` and `secret_files`; what wasn't given stays out. Errors: those of the
// files, invalid_argument.
Status put_overlay(const OverlayFlags& flags, nlohmann::json& body);

// "/etc/motd (0644), /etc/key (0600, 312 B)" of a list in an object.
std::string file_names(const nlohmann::json& object, std::string_view pointer);

}  // namespace bridgehead::cli
