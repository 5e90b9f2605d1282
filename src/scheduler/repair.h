// Repair: mends what is wrong with the fewest moves it finds: guests on hosts that are to be emptied or that lack what
// they need, broken hard rules, overloaded hosts, guests without a host. Soft rules too, where mending one is worth
// more than the moves. Looks only at the state, so that nothing is left to do where it has ended.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

// Moves at most until `most_moves` guests aren't at home. Returns the changes looked at.
std::uint64_t repair(State& state, std::size_t most_moves);
// Takes guests off hosts that get too busy for being gathered there (State::crowding), down to the ceiling, and brings
// them to the least used hosts that are on.
std::uint64_t relieve_hosts(State& state, std::size_t most_moves);
std::uint64_t mend_soft_rules(State& state, std::size_t most_moves);

}  // namespace bridgehead::scheduler
