#include "lab/network.h"

namespace bridgehead::lab {
namespace {

Command ip(std::vector<std::string> arguments) { return {.program = "ip", .arguments = std::move(arguments)}; }

Command inside(const Places& places, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"-n", places.network_namespace()});
  return ip(std::move(arguments));
}

}  // namespace

std::vector<Command> make_network(const Places& places, const AddressPlan& addresses) {
  const std::string bridge(kBridge);
  return {
      ip({"netns", "add", places.network_namespace()}),
      inside(places, {"link", "set", "lo", "up"}),
      // A fixed address, or the bridge would take that of whichever tap joins. No delay: PXE ROMs give up sooner.
      inside(places, {"link", "add", bridge, "address", "52:54:00:00:00:01", "type", "bridge", "forward_delay", "0",
                      "stp_state", "0", "mcast_snooping", "0"}),
      inside(places, {"address", "add", fmt::format("{}/{}", addresses.manager(), addresses.subnet.prefix()),
                      "broadcast", "+", "dev", bridge}),
      inside(places, {"link", "set", bridge, "up"}),
      // A bridge whose ports are all switched off has no carrier, and what serves on it would wait for one; a real
      // switch's port stays up. Its other end must say nothing: it would answer ARP for the manager with another MAC.
      inside(places, {"link", "add", "port0", "type", "veth", "peer", "name", "port0-peer"}),
      inside(places, {"link", "set", "port0-peer", "addrgenmode", "none", "arp", "off", "up"}),
      inside(places, {"link", "set", "port0", "addrgenmode", "none", "master", bridge}),
      inside(places, {"link", "set", "port0", "type", "bridge_slave", "flood", "off", "mcast_flood", "off",
                      "bcast_flood", "off", "learning", "off"}),
      inside(places, {"link", "set", "port0", "up"}),
  };
}

std::vector<Command> make_taps(const Places& places, const Machine& machine) {
  std::vector<Command> commands;
  for (const auto& tap : machine.taps) {
    commands.push_back(inside(places, {"tuntap", "add", "dev", tap, "mode", "tap"}));
    commands.push_back(
        inside(places, {"link", "set", tap, "addrgenmode", "none", "master", std::string(kBridge), "up"}));
  }
  return commands;
}

std::vector<Command> make_upstream(const Places& places, const AddressPlan& addresses, Upstream upstream) {
  if (upstream == Upstream::none) return {};
  const std::string uplink(kUplink);
  std::vector<Command> commands{
      ip({"link", "add", places.host_link(), "type", "veth", "peer", "name", uplink, "netns",
          places.network_namespace()}),
      inside(places, {"address", "add", addresses.uplink() + "/30", "dev", uplink}),
      inside(places, {"link", "set", uplink, "up"}),
      ip({"address", "add", addresses.host() + "/30", "dev", places.host_link()}),
      ip({"link", "set", places.host_link(), "up"}),
      ip({"route", "add", addresses.subnet.text(), "via", addresses.uplink(), "dev", places.host_link()}),
  };
  if (upstream == Upstream::nat) {
    commands.push_back(inside(places, {"route", "add", "default", "via", addresses.host(), "dev", uplink}));
    commands.push_back(
        {.program = "nft",
         .arguments = {"-f", "-"},
         .input = fmt::format("table ip {} {{\n  chain postrouting {{\n    type nat hook postrouting priority srcnat;\n"
                              "    ip saddr {} ip daddr != {} masquerade\n  }}\n}}\n",
                              places.nat_table(), addresses.subnet.text(), addresses.subnet.text())});
  }
  return commands;
}

std::vector<Setting> namespace_settings(Upstream upstream) {
  if (upstream == Upstream::none) return {};
  // The host's address is one of the lab's subnet, behind the uplink: the namespace answers for it.
  return {{"net/ipv4/ip_forward", "1"}, {fmt::format("net/ipv4/conf/{}/proxy_arp", kBridge), "1"}};
}

std::vector<Command> remove_network(const Places& places, Upstream upstream) {
  std::vector<Command> commands;
  if (upstream == Upstream::nat) {
    commands.push_back({.program = "nft", .arguments = {"delete", "table", "ip", places.nat_table()}});
  }
  // By name and at once: what ends with the namespace ends some time later.
  if (upstream != Upstream::none) commands.push_back(ip({"link", "delete", places.host_link()}));
  commands.push_back(ip({"netns", "delete", places.network_namespace()}));
  return commands;
}

}  // namespace bridgehead::lab
