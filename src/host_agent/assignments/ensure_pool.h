// Makes this node attach a pool.
// See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class EnsurePoolHandler {
 public:
  explicit EnsurePoolHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::EnsurePool& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
