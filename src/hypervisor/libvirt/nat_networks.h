// nat networks in libvirt: each a bridge with dnsmasq and address translation. Only networks with our metadata are
// touched. Free functions over a connection; thread-safe, idempotent.
#pragma once

#include "base/command.h"
#include "hypervisor/libvirt/handles.h"
#include "model/network.h"

namespace bridgehead::hypervisor {

// Defined, started, started again with the node. failed_precondition when its addresses or its bridge are in use here.
// Both also clear what a libvirtd that was killed in the middle left behind and knows nothing of: the bridge, dnsmasq.
Status ensure_nat_network(virConnectPtr connection, CommandRunner& commands, const model::Network& network);
Status remove_nat_network(virConnectPtr connection, CommandRunner& commands, const model::NetworkId& id);

}  // namespace bridgehead::hypervisor
