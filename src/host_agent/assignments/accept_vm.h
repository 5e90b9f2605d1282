// accept_vm: makes ready what a guest finds here when it comes in by live migration, files for the disks that come
// along included, and opens the gate for its source.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class AcceptVmHandler {
 public:
  explicit AcceptVmHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::AcceptVm& work, const Task& task);

 private:
  model::LeaseClaim claim(const model::AcceptVm& work) const;
  Result<MemoryBudget::Reservation> check(const model::EnsureVm& guest, const Task& task);
  Result<std::vector<model::WaitingDisk>> prepare(const model::AcceptVm& work, const Task& task);

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
