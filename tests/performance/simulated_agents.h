// Many agents in one process: each with a TLS connection and a stream of its own, none with a thread. They report once,
// then send a heartbeat whenever the manager's Welcome asks for one, spread over time.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "performance/simulated_cluster.h"

namespace bridgehead::performance {

class SimulatedAgents {
 public:
  SimulatedAgents(const SimulatedCluster& cluster, int port);
  ~SimulatedAgents();

  // Every agent has its Welcome and has sent its report and a heartbeat after it. Those that were cut off dial again.
  bool wait_connected(std::chrono::seconds within);
  std::size_t connected() const;

 private:
  class Agent;
  void dial_again();
  const SimulatedCluster& cluster_;
  const int port_;
  std::vector<std::unique_ptr<Agent>> agents_;
};

}  // namespace bridgehead::performance
