// Makes a network exist on this node (nat), or checks that its bridge does.
// See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// Remembered before it is made, so that it is removed again if it is deleted while this node is away.
Status ensure_network(const NodeServices& services, const model::Network& network);

class EnsureNetworkHandler {
 public:
  explicit EnsureNetworkHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::EnsureNetwork& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
