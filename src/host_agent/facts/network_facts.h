// This machine's network interfaces from /sys/class/net below a root directory, and the system's addresses.
// Stateless, thread-safe; never fails: what can't be read is left out. Guests' own taps (vnet*) are left out too: they
// come and go with guests and are no fact about the machine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/node.h"

namespace bridgehead::host_agent {

struct InterfaceAddress {
  std::string interface;
  std::string address;  // with its prefix length: "192.0.2.7/24"
};

// By name. Kinds as model::NetworkInterface lists them.
std::vector<model::NetworkInterface> read_interfaces(const std::filesystem::path& root,
                                                     const std::vector<InterfaceAddress>& addresses);

// getifaddrs(3), without link-local IPv6.
std::vector<InterfaceAddress> system_addresses();

}  // namespace bridgehead::host_agent
