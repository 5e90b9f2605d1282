// Network interfaces by rtnetlink. One thread. Failures carry the kernel's reason.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "address.h"
#include "command_line.h"
#include "netlink.h"
#include "result.h"

namespace bridgehead::init {

struct Link {
  int index = 0;
  std::string name;
  Mac mac;
  unsigned mtu = 1500;
  bool ethernet = false;
  bool up = false;       // by us
  bool carrier = false;  // there is someone at the other end
  int master = 0;        // the bridge's or bond's index; 0: none
  std::string kind;      // "bridge", "bond", "vlan"; "" where it is hardware (or looks like it)
};

class Links {
 public:
  static Result<Links> open();

  Result<std::vector<Link>> list();
  Result<Link> find(const std::string& name);
  Result<Link> find(int index);

  // All of these return when the kernel has done it.
  Status set_up(int index);
  Status set_down(int index);
  Status set_mtu(int index, unsigned mtu);
  Status set_master(int index, int master);  // 0: none
  // Spanning tree off, no forward delay. The address is set here, before there is a port: a bridge whose address was
  // set by hand keeps it whatever joins later.
  Result<Link> create_bridge(const std::string& name, const Mac& mac);
  Result<Link> create_vlan(const std::string& name, int below, std::uint16_t vlan);
  Result<Link> create_bond(const std::string& name, const std::string& mode, const Mac& mac);
  Status remove(int index);
  Status add_address(int index, const HostAddress& address);
  Status flush_addresses(int index);
  Status add_default_route(int index, const Ipv4& gateway);

 private:
  explicit Links(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Status change(NetlinkMessage& message, const std::string& what);
  Status set_flags(int index, unsigned flags, const std::string& what);

  NetlinkSocket socket_;
};

}  // namespace bridgehead::init
