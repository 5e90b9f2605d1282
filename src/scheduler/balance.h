// Balance: makes hosts' use even. `descend` takes the best move again and again as long as one is worth more than its
// price; it looks only at the state, so a state where it ends is one where it doesn't begin (the fixed point).
// `improve` searches on from there by simulated annealing over moves, returns and exchanges of guests; it counts what
// it looks at, and more effort never ends worse.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

std::uint64_t descend(State& state, std::size_t most_moves);
std::uint64_t improve(State& state, std::size_t most_moves, std::uint64_t effort, std::uint64_t seed);

}  // namespace bridgehead::scheduler
