// Looks for other DHCP servers on a segment: two that both give addresses make machines boot by chance. Sends a
// DHCPDISCOVER from a packet socket with a MAC that nobody has and reads the offers; nothing is leased, since no
// request follows. Needs CAP_NET_RAW. Blocks for `wait`: run it on a worker.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

namespace bridgehead::netboot {

struct FoundDhcpServer {
  std::string address;  // its server identifier (option 54), else the packet's source
  std::string mac;      // of the frame
  std::string offered;  // the address it offers; "" = none: a proxyDHCP
  bool operator==(const FoundDhcpServer&) const = default;
};

struct DhcpProbe {
  std::string interface;
  std::vector<std::string> own_addresses;  // our servers, left out of the result
  std::chrono::milliseconds wait{std::chrono::seconds(3)};
};

// Each server once, sorted by address. not_found: no such interface; permission_denied; io_error: the interface is
// down; cancelled.
Result<std::vector<FoundDhcpServer>> find_dhcp_servers(const DhcpProbe& probe, std::stop_token stop = {});

}  // namespace bridgehead::netboot
