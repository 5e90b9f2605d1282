// What the kernel command line tells the initramfs (docs/boot-protocol.md, section 2). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "address.h"
#include "result.h"

namespace bridgehead::init {

// What to do when the boot can't go on.
enum class OnFailure { retry, reboot, shell };

struct Bond {
  std::string mode;  // as the kernel names it: "802.3ad", "active-backup", "balance-xor", ...
  std::vector<Mac> ports;
};

struct CommandLine {
  std::string server;  // "http://10.20.0.1:7480", without a slash at the end
  std::string boot;    // 64 hex digits, or empty: the plan brings it
  std::optional<Mac> mac;
  std::optional<HostAddress> address;
  bool static_address = false;  // it is no DHCP server's lease
  std::optional<Ipv4> gateway;
  std::string bridge = "br0";
  std::uint16_t vlan = 0;  // 0: none
  std::optional<Bond> bond;
  std::string hostname;  // told to the DHCP server; the plan decides in the end
  std::chrono::seconds wait{30};
  std::string init;  // the root's init; empty: the usual ones are tried
  // "nbd.max_part=0" -> {"nbd", "max_part=0"}, for modules that we load; names with '_'.
  std::map<std::string, std::string> module_parameters;
};

// Fails where an argument of ours can't be understood, or bh.server is missing.
Result<CommandLine> parse_command_line(std::string_view text);
// Also where the rest can't be understood.
OnFailure on_failure(std::string_view text);

// The kernel's number of a bonding mode (drivers/net/bonding), or nothing.
std::optional<std::uint8_t> bond_mode_number(std::string_view mode);

}  // namespace bridgehead::init
