// Removes a nat network from this node; a bridge is left alone. Missing is success.
// See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class RemoveNetworkHandler {
 public:
  explicit RemoveNetworkHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::RemoveNetwork& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
