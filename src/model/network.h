// Networks that guests' NICs plug into.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "model/ids.h"

namespace bridgehead::model {

enum class NetworkKind {
  nat,     // a private bridge on each node with DHCP, reaching out by address translation
  bridge,  // an existing bridge of the node; a VLAN per NIC or network
};

struct Network {
  NetworkId id;
  std::string name;
  NetworkKind kind = NetworkKind::nat;
  std::string bridge;                 // bridge: its name on the nodes; nat: the name to make, "" = chosen from the id
  std::optional<std::uint16_t> vlan;  // 1..4094, tagged on the bridge
  std::string subnet;                 // nat: IPv4 CIDR, "192.168.120.0/24"; the gateway is its first address
  Timestamp created{};
  bool deleting = false;

  bool operator==(const Network&) const = default;
};

// A locally administered unicast prefix of our own: 52:b4:9d. The rest is unique per cluster, kept in the store.
std::string mac_from_number(std::uint32_t number);  // only the low 24 bits count
bool is_unicast_mac(std::string_view text);         // six lower-case hex pairs with colons, not multicast

}  // namespace bridgehead::model
