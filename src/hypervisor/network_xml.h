// A nat network -> libvirt network XML. Pure. Format: https://libvirt.org/formatnetwork.html
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/network.h"

namespace bridgehead::hypervisor {

// The bridge device: the network's own choice, or "bh" and part of its id (at most 15 characters).
std::string nat_bridge_name(const model::Network& network);

// The gateway is the subnet's first address, DHCP gives out the rest. invalid_argument when the subnet isn't an IPv4
// network of 4 to 65,536 addresses ("192.168.120.0/24").
Result<std::string> network_xml(const model::Network& network);

// Does libvirt's stored network do what `network` wants? False also when it isn't one of ours.
bool same_network(std::string_view stored_xml, const model::Network& network);
bool is_our_network(std::string_view stored_xml);

}  // namespace bridgehead::hypervisor
