// Consolidation: gathers guests on fewer hosts, so that the others can rest. It looks for the fewest hosts that can be
// kept in use: a number of hosts is tried by leaving the guests of the hosts that are most worth keeping where they are
// and packing all other guests into the room left there, the largest first, each where it fits best; one small guest
// may make way for a larger one. Looks only at the state.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

std::uint64_t consolidate(State& state, std::size_t most_moves);
// Of hosts that guests can't do without, whatever is moved: by sums of each resource, so many hosts at least. Headroom
// for Policy::failures isn't counted, since hosts that aren't in use can give it.
double least_hosts(const State& state);

}  // namespace bridgehead::scheduler
