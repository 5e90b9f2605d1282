// Brings a guest to its spec: create, every change of it, and power. Checks everything first, then makes disks, seed
// and networks side by side, then configures and powers. The generation counts as applied only when all of it is. A
// *first* create that fails or is cancelled is undone in full; a later change that fails leaves the guest as far as it
// came, and doing it again goes on from there. See task.h.
#pragma once

#include "host_agent/assignments/guest_disks.h"
#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class EnsureVmHandler {
 public:
  explicit EnsureVmHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::EnsureVm& work, const Task& task);

 private:
  struct Plan;
  Result<Plan> check(const model::EnsureVm& work, const Task& task);
  Status carry_out(const model::EnsureVm& work, Plan& plan, const Task& task);
  Status prepare_parts(const model::EnsureVm& work, Plan& plan, const Task& task);
  Status reserve_memory(const model::EnsureVm& work, Plan& plan);
  Outcome undo(const model::EnsureVm& work, const Plan& plan, Error reason);

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
