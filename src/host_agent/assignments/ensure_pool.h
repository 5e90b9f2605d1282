// Makes this node have a pool: it is attached now, or as soon as that is possible.
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
