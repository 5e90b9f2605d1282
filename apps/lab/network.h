// The lab's network as the programs that make and remove it. Pure: values that tests compare; lab.cpp runs them.
//
//   host --- bhl-<lab> ===veth=== up0 --- [namespace bh-<lab>: manager, dnsmasq, ...] --- prov0 (bridge) --- tap-m1,
//   ...
//
// The veth is routed, not bridged: the host's own DHCP or IPv6 never meets the provisioning network.
#pragma once

#include <string>
#include <vector>

#include "base/command.h"
#include "lab/machine.h"
#include "lab/names.h"
#include "lab/subnet.h"
#include "model/enum_names.h"

namespace bridgehead::lab {

// host: the host reaches manager and machines. nat: the machines also reach what the host reaches.
enum class Upstream { none, host, nat };

std::vector<Command> make_network(const Places& places, const AddressPlan& addresses);
std::vector<Command> make_taps(const Places& places, const Machine& machine);
std::vector<Command> make_upstream(const Places& places, const AddressPlan& addresses, Upstream upstream);

struct Setting {
  std::string file;  // below /proc/sys
  std::string value;
};
// Inside the namespace; they end with it.
std::vector<Setting> namespace_settings(Upstream upstream);

// Each may fail because there is nothing to remove.
std::vector<Command> remove_network(const Places& places, Upstream upstream);

}  // namespace bridgehead::lab

namespace bridgehead::model {
template <>
struct EnumNames<lab::Upstream> {
  static constexpr std::string_view kind = "way upstream";
  static constexpr auto values = std::to_array<std::pair<lab::Upstream, std::string_view>>(
      {{lab::Upstream::none, "none"}, {lab::Upstream::host, "host"}, {lab::Upstream::nat, "nat"}});
};
}  // namespace bridgehead::model
