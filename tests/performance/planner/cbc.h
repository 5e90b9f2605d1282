// COIN-OR's CBC as a peer: the fullest host's use as an integer program, with a limit on moves.
#pragma once

#include <string>

#include "scheduler/plan.h"

namespace bridgehead::bench {

struct CbcRun {
  double value = -1;  // of the best solution found; -1 = none
  double bound = 0;   // no solution is better, it proved
  double seconds = 0;
};

// Minimises the sum over memory and CPU use of the fullest host's use, with at most so many guests moved.
CbcRun run_cbc(const scheduler::Cluster& cluster, std::size_t most_moves, const std::string& directory, double seconds);
// The same of the cluster as it is.
double fullest(const scheduler::Cluster& cluster);

}  // namespace bridgehead::bench
