// Makes this node forget a pool. The files in it stay.
// See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class RemovePoolHandler {
 public:
  explicit RemovePoolHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::RemovePool& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
