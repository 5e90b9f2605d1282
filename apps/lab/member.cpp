#include "lab/member.h"

#include "lab/network_namespace.h"

namespace bridgehead::lab {
namespace {

Command ip_in(const std::string& name_space, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"-n", name_space});
  return {.program = "ip", .arguments = std::move(arguments)};
}

std::string port_of(const Member& member) { return "to-" + member.name; }

// A token bucket holds what a NIC of that speed sends in some milliseconds, and more than the largest packet that the
// kernel hands down whole: 64 KiB, counted with a header for each frame. With 64kb it cuts them in software, which
// costs the CPUs that the servers need.
Command limit(const std::string& name_space, const std::string& device, unsigned mbit) {
  return {.program = "tc",
          .arguments = {"-n", name_space, "qdisc", "add", "dev", device, "root", "tbf", "rate",
                        fmt::format("{}mbit", mbit), "burst", "128kb", "latency", "50ms"}};
}

}  // namespace

std::vector<Command> make_member(const Places& places, const AddressPlan& addresses, const Member& member,
                                 MemberKind kind, unsigned mbit, const std::string& bridge_mac) {
  const auto lab = places.network_namespace();
  const auto own = places.member_namespace(member.name);
  const auto port = port_of(member);
  std::vector<Command> commands{
      {.program = "ip", .arguments = {"netns", "add", own}},
      ip_in(lab, {"link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", own}),
      ip_in(lab, {"link", "set", port, "addrgenmode", "none", "master", std::string(kBridge), "up"}),
      ip_in(own, {"link", "set", "lo", "up"}),
  };
  std::string device = "eth0";
  if (kind == MemberKind::host) {
    // A fixed address, or the bridge would take that of a guest's NIC.
    device = kHostBridge;
    commands.push_back(ip_in(
        own, {"link", "add", device, "address", bridge_mac, "type", "bridge", "forward_delay", "0", "stp_state", "0"}));
    commands.push_back(ip_in(own, {"link", "set", "eth0", "master", device, "up"}));
  }
  commands.push_back(ip_in(own, {"address", "add", fmt::format("{}/{}", member.address, addresses.subnet.prefix()),
                                 "broadcast", "+", "dev", device}));
  commands.push_back(ip_in(own, {"link", "set", device, "up"}));
  commands.push_back(ip_in(own, {"route", "add", "default", "via", addresses.manager()}));
  if (mbit > 0) {
    commands.push_back(limit(lab, port, mbit));
    commands.push_back(limit(own, "eth0", mbit));
  }
  return commands;
}

Command plug(const Places& places, const Member& member, bool in) {
  return ip_in(places.network_namespace(), {"link", "set", port_of(member), in ? "up" : "down"});
}

bool namespace_is_its_own(const Places& places, const Member& member) {
  const auto inode = namespace_inode(places.namespace_file_of(member.name));
  return !inode || member.namespace_inode == 0 || *inode == member.namespace_inode;
}

Status end_member(const Places& places, const Member& member) {
  if (auto ended = end_process(member.process, 0, {}); !ended) return ended;
  if (!namespace_is_its_own(places, member)) return {};
  // Several times: one of them may have started another meanwhile.
  for (int round = 0; round < 3; ++round) {
    const auto others = processes_in(places.namespace_file_of(member.name));
    if (!others) return forward(others);
    for (const auto& process : *others) {
      if (auto ended = end_process(process, 0, {}); !ended) return ended;
    }
  }
  return {};
}

}  // namespace bridgehead::lab
