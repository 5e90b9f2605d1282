// Ganeti's hbal as a peer: our clusters in its text format, what it makes of them, and its score of what we make.
#pragma once

#include <string>

#include "scheduler/plan.h"

namespace bridgehead::bench {

struct HbalRun {
  double score_before = 0;
  double score_after = 0;
  std::size_t moves = 0;
  double seconds = 0;      // of CPU, as it is a single thread
  bool converged = false;  // ended by itself
};

// The cluster as `hbal -t` reads it; disks are shared, so that a guest lives on one host.
std::string hbal_text(const scheduler::Cluster& cluster);
// Runs hbal for so many seconds of CPU at most.
HbalRun run_hbal(const scheduler::Cluster& cluster, const std::string& directory, double seconds);
// hbal's score of the cluster as it is.
double hbal_score(const scheduler::Cluster& cluster, const std::string& directory);

}  // namespace bridgehead::bench
