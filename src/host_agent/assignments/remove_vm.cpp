#include "host_agent/assignments/remove_vm.h"

#include "host_agent/assignments/lease.h"
#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

Outcome RemoveVmHandler::run(const model::RemoveVm& work, const Task& task) {
  const auto& vm = work.vm;
  if (!is_uuid(vm.id.str())) {
    return failed({ErrorCode::invalid_argument, fmt::format("'{}' is not a VM's id", vm.id), {}});
  }
  if (task.stop.stop_requested()) return failed(cancelled_error());
  if (work.unless_running) {
    const auto info = look_at_guest(services_, vm.id, task);
    if (!info) return failed(info.error());
    if (info->state == hypervisor::GuestState::running) {
      return failed({ErrorCode::failed_precondition, "the guest runs on this node, so this is no old copy of it",
                     "Find out where it should run, and stop it elsewhere."});
    }
  }
  std::vector<PoolHandle> pools;
  for (const auto& record : work.pools) {
    auto pool = services_.pools.ensure(record);
    if (!pool) return failed(pool.error());
    pools.push_back(std::move(*pool));
  }
  const auto applied = services_.journal.applied(vm.id);
  const auto lease = std::max(vm.lease, applied ? applied->lease : 0);

  // The domain here goes in any case: with a newer lease elsewhere it must not run.
  task.progress({.phase = "remove"});
  if (auto removed = services_.hypervisor.remove(vm.id); !removed) return failed(removed.error());
  if (auto removed = services_.files.remove(vm.id); !removed) return failed(removed.error());
  const auto claim = claim_of(services_, vm.id, lease, vm.past_leases);
  if (auto held = check_lease(claim, pools); !held) return failed_under(services_, claim, work.pools, held.error());
  for (const auto& disk : work.disks) {
    const auto pool = services_.pools.find(disk.pool);
    if (!pool) return failed(pool.error());
    auto removed = pool->call<void>([disk](storage::ImagePool& images) { return images.remove(disk); });
    if (!removed) return failed(removed.error());
  }
  if (auto released = release_lease(vm.id, lease, pools); !released) return failed(released.error());
  return {.change = VmChange{vm.id, std::nullopt}};
}

}  // namespace bridgehead::host_agent
