// The manager's configuration: defaults, then the TOML file, then the command line. Values; checked in full before
// anything is opened. Errors: invalid_argument with file, line and key, not_found for a file that was named but isn't
// there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "scheduler/scheduler.h"

namespace bridgehead::manager {

struct Endpoint {
  std::string address;  // IPv4 or IPv6 literal
  std::uint16_t port = 0;
  std::string text() const;  // "0.0.0.0:7443", "[::]:7443"
  bool operator==(const Endpoint&) const = default;
};

// "127.0.0.1:7443", "[::1]:7443", "7443" and ":7443" (all IPv4 addresses). Port 0: any free one.
Result<Endpoint> parse_endpoint(std::string_view text);

// What boots machines over the network. A manager that isn't root leaves that to bridgehead-netboot, which reads the
// same.
struct NetbootConfig {
  // Generated files, the TFTP root and the node images; dnsmasq's user must be able to reach it.
  std::filesystem::path directory = "/var/lib/bridgehead/netboot";
  std::filesystem::path socket = "/run/bridgehead/netboot/socket";  // of bridgehead-netboot
  // What lies below them may be imported as a node image. Writable by administrators only.
  std::vector<std::filesystem::path> import_directories = {"/var/lib/bridgehead/import"};
  std::filesystem::path init;                      // our initramfs's init; "" = as installed, or beside this program
  std::filesystem::path busybox = "/bin/busybox";  // a static one
  std::filesystem::path agent_package;             // the agent's .deb for node images; "" = as installed
  std::filesystem::path recipes = "/etc/bridgehead/recipes";
};

struct Config {
  std::filesystem::path state_dir = "/var/lib/bridgehead/manager";
  Endpoint listen{"0.0.0.0", 7443};        // REST
  Endpoint agent_listen{"0.0.0.0", 7444};  // agents
  std::vector<std::string> advertise;      // names and addresses that clients and agents use, beside the ones found
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;
  std::chrono::seconds heartbeat{5};
  std::size_t history = 10'000;  // ended operations and events that are kept, of each
  scheduler::Limits limits;
  NetbootConfig netboot;
};

// What the command line says; empty = not given.
struct Overrides {
  std::string state_dir;
  std::string listen;
  std::string agent_listen;
  std::vector<std::string> advertise;
  std::string log_level;
  std::string log_format;
};

inline constexpr char default_config_file[] = "/etc/bridgehead/manager.toml";

// `file` empty: the default file, which may be missing.
Result<Config> load_config(const std::filesystem::path& file, const Overrides& overrides);
// `name` is for messages.
Result<Config> parse_config(std::string_view toml_text, std::string_view name);

bool is_address(const std::string& text);  // IPv4 or IPv6
bool is_host_name(std::string_view text);  // letters, digits, dots and dashes, at most 253

}  // namespace bridgehead::manager
