// What DHCP keeps for the machines that are known. Pure over the inventory.
#pragma once

#include <vector>

#include "model/boot_services.h"
#include "state/inventory.h"

namespace bridgehead::provision {

// One for each node that boots over the network. What doesn't fit is left out of its own (an address outside of the
// network, which was changed; a name that is none for DNS): it must not cost the others theirs.
std::vector<model::BootReservation> reservations(const state::Inventory& inventory,
                                                 const model::NetbootSettings& settings);

}  // namespace bridgehead::provision
