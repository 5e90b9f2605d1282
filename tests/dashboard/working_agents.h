// Agents that do what the manager tells them, on guests that are entries in maps: for tests of what a person sees, with
// a rack that needs no hypervisor. They serve consoles, screens and uploads; they dial again when they are cut off.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "performance/simulated_cluster.h"

namespace bridgehead::dashboard {

class WorkingAgents {
 public:
  WorkingAgents(const performance::SimulatedCluster& cluster, int port);
  ~WorkingAgents();

 private:
  class Agent;
  void work();

  std::mutex mutex_;  // over all their guests: they move between nodes
  std::vector<std::unique_ptr<Agent>> agents_;
  std::atomic<bool> stopping_ = false;
  std::thread worker_;
};

}  // namespace bridgehead::dashboard
