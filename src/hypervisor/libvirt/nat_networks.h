// nat networks in libvirt: each a bridge with dnsmasq and address translation. Only networks with our metadata are
// touched. Free functions over a connection; thread-safe, idempotent.
#pragma once

#include "hypervisor/libvirt/handles.h"
#include "model/network.h"

namespace bridgehead::hypervisor {

// Defined, started, started again with the node. failed_precondition when its addresses or its bridge are in use here.
Status ensure_nat_network(virConnectPtr connection, const model::Network& network);
Status remove_nat_network(virConnectPtr connection, const model::NetworkId& id);

}  // namespace bridgehead::hypervisor
