// A state directory as a big cluster would have it: nodes with facts and certificates, guests with disks, running.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/assignment.h"

namespace bridgehead::performance {

struct SimulatedNode {
  model::NodeId id;
  std::string certificate_pem;
  model::NodeReport report;  // what its agent says: the truth that the store holds
};

struct SimulatedCluster {
  std::string ca_pem;
  std::string admin_token;
  std::string key_pem;  // of all nodes: a key each would only cost time
  std::vector<SimulatedNode> nodes;
};

// shared: disks in a pool that all nodes have and NICs on the wire, so that guests can move.
SimulatedCluster make_simulated_cluster(const std::filesystem::path& state_dir, std::size_t nodes, std::size_t guests,
                                        bool shared = false);

}  // namespace bridgehead::performance
