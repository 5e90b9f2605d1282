// settle_vm: after a migration to this node that did not end well: is the guest here, and if not, nothing of it is.
// Fails with `unavailable` while the guest is still on its way: then nobody knows yet.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class SettleVmHandler {
 public:
  explicit SettleVmHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::SettleVm& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
