// Clusters to plan for in the benchmark: made from a seed, so that everybody gets the same.
#pragma once

#include <string>

#include "scheduler/plan.h"

namespace bridgehead::bench {

// Hosts of one size and guests of several, more of them on the first hosts than on the last; as in hbal's own terms:
// memory, virtual CPUs, and the number of guests (as network_used, one each).
scheduler::Cluster skewed_cluster(std::size_t hosts, std::size_t guests, std::uint64_t seed);
// What hbal's score counts of such a cluster: the deviations of the part of memory, of virtual CPUs per CPU, and four
// times of the number of guests.
scheduler::Policy like_hbal(std::size_t most_moves);

// Hosts of one size and guests whose memory and CPU use are any figures, as measured; skewed as above.
scheduler::Cluster measured_cluster(std::size_t hosts, std::size_t guests, std::uint64_t seed);
// Evens out the fullest of memory and of CPU use.
scheduler::Policy evening_peaks(std::size_t most_moves);

// Hosts of two sizes, guests with measured use; replicas that must be apart. Of
// 100 rules `broken` are, and of 1,000 hosts as many are to be emptied.
scheduler::Cluster mixed_cluster(std::size_t hosts, std::size_t guests, std::uint64_t seed, std::size_t broken);

}  // namespace bridgehead::bench
