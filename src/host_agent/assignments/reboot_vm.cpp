#include "host_agent/assignments/reboot_vm.h"

#include "host_agent/assignments/guest_power.h"
#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

Outcome RebootVmHandler::run(const model::RebootVm& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  const auto info = require_guest(services_, work.vm, work.lease, task);
  if (!info) return failed(info.error());
  const bool off = info->state == hypervisor::GuestState::stopped;
  // An earlier run of this may have come as far as its stop.
  if (info->state != hypervisor::GuestState::running && !(off && task.resumed)) {
    return failed({ErrorCode::failed_precondition, "the guest isn't running, so it can't be rebooted", "Start it."});
  }
  const auto rebooted = off || info->restart_required ? start_anew(work, info->state, task)
                                                      : services_.hypervisor.reboot(work.vm, work.force);
  if (!rebooted && wants_another_run(rebooted.error(), task)) return run(work, resumed(task));
  return outcome_of(rebooted);
}

// Changes that wait for the guest's next start come with a new QEMU only.
Status RebootVmHandler::start_anew(const model::RebootVm& work, hypervisor::GuestState now, const Task& task) {
  if (now == hypervisor::GuestState::running) {
    // No grace: who asks the guest to reboot doesn't want its power cut.
    const StopPolicy policy{.force = work.force, .grace = std::chrono::seconds(0)};
    if (auto stopped = stop_guest(services_, work.vm, policy, task); !stopped) return stopped;
  }
  return run_guest(services_, work.vm, hypervisor::GuestState::stopped, false, task.stop);
}

}  // namespace bridgehead::host_agent
