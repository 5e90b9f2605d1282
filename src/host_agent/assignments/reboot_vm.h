// Reboots a guest: asks it, or resets it with force; when changes wait for its next start, by stop and start. After a
// crash in its middle it may be rebooted once more, which ends in the same state. See task.h.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class RebootVmHandler {
 public:
  explicit RebootVmHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::RebootVm& work, const Task& task);

 private:
  Status start_anew(const model::RebootVm& work, hypervisor::GuestState now, const Task& task);

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
