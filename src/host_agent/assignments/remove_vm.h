// Removes a guest: its domain (powered off), files, disks and lease stamps. Missing parts are success. Disks that are
// leased to another node under a higher token are refused with failed_precondition before they are touched. See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class RemoveVmHandler {
 public:
  explicit RemoveVmHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::RemoveVm& work, const Task& task);

 private:
  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
