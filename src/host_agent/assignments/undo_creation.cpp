#include "host_agent/assignments/undo_creation.h"

#include <limits>

#include "host_agent/assignments/lease.h"
#include "host_agent/messages.h"

namespace bridgehead::host_agent {
namespace {

Status remove_domain(const NodeServices& services, const model::VmId& vm) {
  const auto started = services.clock.monotonic();
  for (;;) {
    auto removed = services.hypervisor.remove(vm);
    const bool away = !removed && removed.error().code == ErrorCode::unavailable;
    if (!away || services.clock.monotonic() - started >= services.timings.undo_patience) return removed;
    // The event that its return brings ends the wait early.
    services.events.wait(vm, services.events.count(vm), services.timings.undo_repeat, {});
  }
}

// A create stamps its pools before it makes the first disk there. So without a stamp there is nothing of it, and one
// that is another's or newer means that its disks have become somebody else's.
Result<bool> has_made_there(const NodeServices& services, const model::VmId& vm, const Creation& creation,
                            const PoolHandle& pool) {
  const auto stamp = read_stamp(pool, vm);
  if (!stamp) return forward(stamp);
  if (!*stamp) return creation.lease == 0;  // of a guest without a lease
  if ((*stamp)->node == services.node && (*stamp)->token <= creation.lease) return true;
  log::warning(messages::undo_kept_disks, "VM {} in pool {}: leased to node {} under token {}", vm, pool.pool().name,
               (*stamp)->node, (*stamp)->token);
  return false;
}

}  // namespace

Status undo_creation(const NodeServices& services, const model::VmId& vm, const Creation& creation) {
  // The order matters: nothing may write a disk that is being removed, and the stamp guards the disks to the last.
  if (auto removed = remove_domain(services, vm); !removed) return removed;
  if (auto removed = services.files.remove(vm); !removed) return removed;
  std::vector<PoolHandle> pools;
  for (const auto& disk : creation.disks) {
    auto pool = services.pools.find(disk.pool);
    if (!pool) return forward(pool);
    const auto ours = has_made_there(services, vm, creation, *pool);
    if (!ours) return forward(ours);
    if (!*ours) continue;
    auto removed = pool->call<void>([disk](storage::ImagePool& images) { return images.remove(disk); });
    if (!removed) return removed;
    if (std::none_of(pools.begin(), pools.end(), [&](const auto& known) { return known.pool().id == disk.pool; })) {
      pools.push_back(std::move(*pool));
    }
  }
  return release_lease(vm, creation.lease, pools);
}

}  // namespace bridgehead::host_agent
