// What stands on a lab's network beside its machines: hosts and storage servers, each a network namespace with one NIC.
// Values, and the commands that make such a namespace. Pure, but for the last two.
#pragma once

#include <string>
#include <vector>

#include "base/command.h"
#include "lab/names.h"
#include "lab/process.h"
#include "lab/subnet.h"

namespace bridgehead::lab {

inline constexpr unsigned kMostHosts = 20;
inline constexpr char kHostBridge[] = "br0";  // of a host, as nodes that boot over the network have it

struct Member {
  std::string name;  // "host1", "chunk2"
  std::string address;
  std::uint64_t namespace_inode = 0;  // 0 = not made yet
  ProcessId process;                  // what makes it one: a host's first process, a server's main one
  ProcessId watchdog;                 // a host's
  bool operator==(const Member&) const = default;
};

enum class MemberKind { host, server };

// Its namespace, its NIC on the provisioning network with a limit both ways (Mbit/s; 0 = none), its address: a host's
// is on its bridge br0, which guests join.
std::vector<Command> make_member(const Places& places, const AddressPlan& addresses, const Member& member,
                                 MemberKind kind, unsigned mbit, const std::string& bridge_mac);

// Its cable is plugged in or pulled out: at its end on the provisioning network.
Command plug(const Places& places, const Member& member, bool in);

// Every process in its namespace, killed. Errors: timeout.
Status end_member(const Places& places, const Member& member);

// What is in the namespace's name now is this member's, or nothing is.
bool namespace_is_its_own(const Places& places, const Member& member);

}  // namespace bridgehead::lab
