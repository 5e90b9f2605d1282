// The agent's configuration: /etc/bridgehead/agent.toml (TOML 1.0). Everything has a default; an unknown key is an
// error, so that a typing mistake is noticed. Plain value and a reader; fails with invalid_argument naming file, line
// and key.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"

namespace bridgehead::agent_app {

inline constexpr char kDefaultConfig[] = "/etc/bridgehead/agent.toml";

struct Config {
  std::string manager;  // "host:port"; "" = the address that the join token named
  std::filesystem::path state_dir = "/var/lib/bridgehead/agent";
  std::vector<std::filesystem::path> import_directories;  // files below them may be imported by path
  std::size_t workers = 0;                                // assignments at once; 0 = by the number of CPUs
  std::size_t import_workers = 2;                         // imports at once
  std::string libvirt_uri = "qemu:///system";
  std::filesystem::path watchdog = "/dev/watchdog0";  // armed while guests run that stop when the node is alone
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;

  bool operator==(const Config&) const = default;
};

Result<Config> parse_config(std::string_view text, const std::string& name);
// A missing file is an error, except when it is the default one.
Result<Config> load_config(const std::filesystem::path& path);

}  // namespace bridgehead::agent_app
