// Conflicts: what can't be kept in the state that a plan leads to, and why: the smallest set of rules that contradict
// each other there (leave any one out and it works), and what stands in the way host by host.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

std::vector<Conflict> find_conflicts(State& state);

}  // namespace bridgehead::scheduler
