#include "host_agent/autostart.h"

#include "host_agent/assignments/guest_power.h"
#include "host_agent/assignments/lease.h"

namespace bridgehead::host_agent {

using hypervisor::GuestState;

std::vector<model::VmId> guests_to_autostart(const Journal& journal, const std::vector<hypervisor::GuestInfo>& infos) {
  std::vector<model::VmId> guests;
  for (const auto& info : infos) {
    if (info.state != GuestState::stopped && info.state != GuestState::crashed) continue;
    const auto applied = journal.applied(info.id);
    if (applied && applied->autostart && !applied->waits_for_manager && applied->power == model::PowerState::running)
      guests.push_back(info.id);
  }
  return guests;
}

Status autostart_guest(const NodeServices& services, const model::VmId& vm) {
  const auto applied = services.journal.applied(vm);
  if (!applied || applied->power != model::PowerState::running) return {};  // stopped or removed meanwhile
  const auto info = services.hypervisor.get(vm);
  if (!info) return forward(info);
  if (info->state != GuestState::stopped && info->state != GuestState::crashed) return {};
  std::vector<PoolHandle> pools;
  for (const auto& id : applied->pools) {
    auto pool = services.pools.find(id);
    if (!pool) return forward(pool);
    pools.push_back(std::move(*pool));
  }
  const auto reserved = services.memory.reserve(applied->memory, services.capacity().memory_available);
  if (!reserved) return forward(reserved);
  // Nothing but its own stamp: what became of older ones since only the manager knows.
  const auto claim = claim_of(services, vm, applied->lease, model::PastLeases{});
  if (auto stamped = stamp_lease(claim, pools); !stamped) return stamped;
  return run_guest(services, vm, info->state, false, {});
}

}  // namespace bridgehead::host_agent
