// Bounds: what no plan can go below, by relaxations that are quick to solve. The deviation's: load is a liquid that is
// taken off the fullest hosts and poured into the emptiest, as much as the largest guests amount to that may be moved,
// and no host goes below what can't leave it. The peak's: the mean, the largest guest, what can't leave, and the level
// to which so many moves can lower the fullest hosts. Both count the price of the moves. 0 where nothing better is
// known.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

double least_unevenness(const State& start);

}  // namespace bridgehead::scheduler
