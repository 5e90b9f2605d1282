// Log messages of this module.
#pragma once

#include "base/log.h"

namespace bridgehead::energy_desk {

inline constexpr log::Message not_counted{
    "ENERGY_NOT_KEPT",
    "What nodes take could not be written to the ledger in the store; it is tried again with the next look. If it "
    "stays, look at the store's disk. Only energy reports miss it."};

}  // namespace bridgehead::energy_desk
