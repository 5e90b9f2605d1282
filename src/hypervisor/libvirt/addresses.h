// A guest's IP addresses. Free function; blocks for at most about the agent's timeout.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "hypervisor/hypervisor.h"
#include "hypervisor/libvirt/handles.h"

namespace bridgehead::hypervisor {

// By guest agent, otherwise from DHCP leases of nat networks, otherwise from the node's neighbour table. No loopback,
// no link-local; those of the guest's own NICs only (not of containers inside it). A guest that isn't running has none.
std::vector<std::string> read_addresses(virDomainPtr domain, std::chrono::seconds agent_timeout, GuestAgent& agent);

}  // namespace bridgehead::hypervisor
