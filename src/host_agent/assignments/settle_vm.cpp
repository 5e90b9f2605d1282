#include "host_agent/assignments/settle_vm.h"

#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

using hypervisor::GuestState;

Outcome SettleVmHandler::run(const model::SettleVm& work, const Task& task) {
  const auto& vm = work.vm;
  if (!is_uuid(vm.id.str())) {
    return failed({ErrorCode::invalid_argument, fmt::format("'{}' is not a VM's id", vm.id), {}});
  }
  services_.gates.close(vm.id);
  const auto state = settled_state(vm, task);
  if (!state) return failed(state.error());
  if (*state == GuestState::running || *state == GuestState::paused) return {.guest_is_here = true};
  if (*state != GuestState::absent) {
    if (auto removed = services_.hypervisor.remove(vm.id); !removed) return failed(removed.error());
  }
  if (auto removed = services_.files.remove(vm.id); !removed) return failed(removed.error());
  return {.change = VmChange{vm.id, std::nullopt}};
}

// A guest that was on its way in looks paused until libvirt has noticed that its source has hung up, and drops it. One
// that stays so has come in whole (it was paused when it left, too).
Result<GuestState> SettleVmHandler::settled_state(const model::Vm& vm, const Task& task) {
  const auto started = services_.clock.monotonic();
  for (;;) {
    const auto seen = services_.events.count(vm.id);
    const auto info = look_at_guest(services_, vm.id, resumed(task));
    if (!info) return forward(info);
    const auto left = services_.timings.settle - (services_.clock.monotonic() - started);
    if (info->state != GuestState::paused || left <= std::chrono::milliseconds(0)) return info->state;
    services_.events.wait(vm.id, seen, std::chrono::duration_cast<std::chrono::milliseconds>(left), task.stop);
    if (task.stop.stop_requested()) return fail(cancelled_error());
  }
}

}  // namespace bridgehead::host_agent
