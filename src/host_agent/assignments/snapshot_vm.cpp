#include "host_agent/assignments/snapshot_vm.h"

#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

Outcome SnapshotVmHandler::run(const model::SnapshotVm& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  const auto info = require_guest(services_, work.vm, work.lease, task);
  if (!info) return failed(info.error());
  auto outcome = act(work, *info, task);
  if (outcome.error && wants_another_run(*outcome.error, task)) return run(work, resumed(task));
  return outcome;
}

Outcome SnapshotVmHandler::act(const model::SnapshotVm& work, const hypervisor::GuestInfo& info, const Task& task) {
  const bool exists = std::any_of(info.snapshots.begin(), info.snapshots.end(),
                                  [&](const model::Snapshot& snapshot) { return snapshot.name == work.name; });
  auto& hypervisor = services_.hypervisor;
  switch (work.action) {
    case model::SnapshotAction::create:
      if (exists && !task.resumed) {
        return failed({ErrorCode::already_exists, fmt::format("the guest has a snapshot named '{}'", work.name),
                       "Choose another name or remove that one."});
      }
      task.progress({.phase = "snapshot"});
      return exists ? Outcome{} : outcome_of(hypervisor.create_snapshot(work.vm, work.name));
    case model::SnapshotAction::rollback:
      if (!exists)
        return failed({ErrorCode::not_found, fmt::format("the guest has no snapshot named '{}'", work.name), {}});
      task.progress({.phase = "rollback"});
      return outcome_of(hypervisor.rollback_snapshot(work.vm, work.name));
    case model::SnapshotAction::remove: return outcome_of(hypervisor.remove_snapshot(work.vm, work.name));
  }
  return failed({ErrorCode::unsupported, "this agent doesn't know what to do with the snapshot", "Update the agent."});
}

}  // namespace bridgehead::host_agent
