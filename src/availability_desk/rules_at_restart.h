// Hard rules of placement for guests that start elsewhere, by the store and the leases as they are when it is first
// asked. Not thread-safe; for one look.
#pragma once

#include "availability/lease_book.h"
#include "availability/restarts.h"
#include "state/inventory.h"

namespace bridgehead::availability_desk {

// Only guests that somebody may run count, and those that are placed: one that has to start elsewhere itself keeps
// nobody with it on its dead node. The result refers to both.
availability::RestartRules rules_at_restart(const state::Inventory& inventory, const availability::LeaseBook& book);

}  // namespace bridgehead::availability_desk
