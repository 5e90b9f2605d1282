#include "host_agent/assignments/settle_vm.h"

#include "host_agent/assignments/coming_disks.h"
#include "host_agent/assignments/require_guest.h"

namespace bridgehead::host_agent {

using hypervisor::GuestState;

Outcome SettleVmHandler::run(const model::SettleVm& work, const Task& task) {
  const auto& vm = work.vm;
  if (!is_uuid(vm.str())) return failed({ErrorCode::invalid_argument, fmt::format("'{}' is not a VM's id", vm), {}});
  services_.gates.close(vm);  // so that it can't come in any more, if it hasn't
  const auto kept = were_kept(services_, work.disks, work.pools);
  if (!kept) return failed(kept.error());
  if (*kept) return {.guest_is_here = true};
  const auto info = look_at_settled_guest(services_, vm, resumed(task), true);
  if (!info) return failed(info.error());
  // It has come in whole. If it has ended since, its disks are newer than what the source may still hold of its memory.
  const bool may_be_kept = work.disks.empty() || work.given_up || info->state == GuestState::running;
  if (may_be_kept && (lives(info->state) || info->has_ended)) {
    if (auto now_kept = keep_disks(services_, work.disks, work.pools); !now_kept) return failed(now_kept.error());
    return {.guest_is_here = true};
  }
  if (info->state != GuestState::absent) {
    if (auto removed = services_.hypervisor.remove(vm); !removed) return failed(removed.error());
  }
  if (auto removed = services_.files.remove(vm); !removed) return failed(removed.error());
  return {.change = VmChange{vm, std::nullopt}};
}

}  // namespace bridgehead::host_agent
