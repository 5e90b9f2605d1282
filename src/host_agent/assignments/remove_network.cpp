#include "host_agent/assignments/remove_network.h"

namespace bridgehead::host_agent {

Outcome RemoveNetworkHandler::run(const model::RemoveNetwork& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  if (work.network.kind != model::NetworkKind::nat) return {};
  return outcome_of(services_.hypervisor.remove_network(work.network.id));
}

}  // namespace bridgehead::host_agent
