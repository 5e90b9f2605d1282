// migrate_vm: moves a running guest to another node, through the gate that the target has opened.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class MigrateVmHandler {
 public:
  explicit MigrateVmHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::MigrateVm& work, const Task& task);

 private:
  Outcome run_with_disks(const model::MigrateVm& work, const Task& task);
  Outcome give_up(const model::MigrateVm& work, const Task& task);
  Status stamp_for_target(const model::MigrateVm& work);
  Status move(const model::MigrateVm& work, const Task& task);
  Outcome moved(const model::VmId& vm);

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
