// Makes a network exist on this node (nat), or checks that its bridge does.
// See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class EnsureNetworkHandler {
 public:
  explicit EnsureNetworkHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::EnsureNetwork& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
