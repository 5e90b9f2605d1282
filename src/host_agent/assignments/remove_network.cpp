#include "host_agent/assignments/remove_network.h"

#include "host_agent/remembered.h"

namespace bridgehead::host_agent {

Outcome RemoveNetworkHandler::run(const model::RemoveNetwork& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  if (work.network.kind == model::NetworkKind::nat) {
    // If libvirt is away now, the housekeeper removes it later: the manager may not ask again.
    if (auto marked = mark_gone(services_.journal, work.network); !marked) return failed(marked.error());
    const auto removed =
        through_libvirt(services_, task, [&] { return services_.hypervisor.remove_network(work.network.id); });
    if (!removed) return failed(removed.error());
  }
  return outcome_of(forget(services_.journal, work.network.id));
}

}  // namespace bridgehead::host_agent
