// Takes, rolls back or removes a snapshot. A name that is taken is refused, except when this very operation may have
// made it before a crash. See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class SnapshotVmHandler {
 public:
  explicit SnapshotVmHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::SnapshotVm& work, const Task& task);

 private:
  Outcome act(const model::SnapshotVm& work, const hypervisor::GuestInfo& info, const Task& task);

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
