// Explain: the reasons of a plan's actions, for people, in one line each with names and figures.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

// Fills in gain and reason. `end` is the state that the plan leads to.
void explain(std::vector<Action>& actions, const State& end);

// "memory", "virtual CPUs", ...
const char* name_of(std::size_t resource);
// "8 GiB", "4", "12.5 MB/s": an amount of the resource.
std::string amount_of(std::size_t resource, double amount);

}  // namespace bridgehead::scheduler
