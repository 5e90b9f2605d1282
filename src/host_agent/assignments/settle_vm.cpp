#include "host_agent/assignments/settle_vm.h"

#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

using hypervisor::GuestState;

Outcome SettleVmHandler::run(const model::SettleVm& work, const Task& task) {
  const auto& vm = work.vm;
  if (!is_uuid(vm.str())) return failed({ErrorCode::invalid_argument, fmt::format("'{}' is not a VM's id", vm), {}});
  services_.gates.close(vm);  // so that it can't come in any more, if it hasn't
  const auto info = look_at_settled_guest(services_, vm, resumed(task), true);
  if (!info) return failed(info.error());
  if (info->state == GuestState::running || info->state == GuestState::paused) return {.guest_is_here = true};
  // It had come in whole and has ended since: its disks are newer than what the source may still hold of its memory.
  if (info->has_ended) return {.guest_is_here = true};
  if (info->state != GuestState::absent) {
    if (auto removed = services_.hypervisor.remove(vm); !removed) return failed(removed.error());
  }
  if (auto removed = services_.files.remove(vm); !removed) return failed(removed.error());
  return {.change = VmChange{vm, std::nullopt}};
}

}  // namespace bridgehead::host_agent
