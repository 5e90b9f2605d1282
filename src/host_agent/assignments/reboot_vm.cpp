#include "host_agent/assignments/reboot_vm.h"

#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

Outcome RebootVmHandler::run(const model::RebootVm& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  const auto info = require_guest(services_, work.vm, work.lease, task);
  if (!info) return failed(info.error());
  if (info->state != hypervisor::GuestState::running) {
    return failed({ErrorCode::failed_precondition, "the guest isn't running, so it can't be rebooted", "Start it."});
  }
  return outcome_of(services_.hypervisor.reboot(work.vm, work.force));
}

}  // namespace bridgehead::host_agent
