// Annealing: one stage of simulated annealing over where guests are: moves, returns home, and exchanges of two guests,
// which with a limit on moves also exchange who is moved. Never breaks a hard rule or a limit, never adds to the soft
// ones, never uses a host that isn't in use where the policy consolidates. The same seed gives the same stage.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

// Leaves the state at the best that was found, or as it was.
void anneal(State& state, std::size_t most_moves, std::uint64_t tries, std::uint64_t seed);

}  // namespace bridgehead::scheduler
