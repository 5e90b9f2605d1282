// Periodic duty: keeps the newest ended operations, events and plans and removes the others.
#pragma once

#include <cstddef>

#include "state/inventory.h"

namespace bridgehead::manager {

// Failures are logged; the next turn tries again.
void trim_history(state::Inventory& inventory, std::size_t keep);

}  // namespace bridgehead::manager
