#include "host_agent/assignments/ensure_network.h"

#include "host_agent/remembered.h"

namespace bridgehead::host_agent {

Status ensure_network(const NodeServices& services, const model::Network& network) {
  if (auto kept = remember(services.journal, network); !kept) return kept;
  return services.hypervisor.ensure_network(network);
}

Outcome EnsureNetworkHandler::run(const model::EnsureNetwork& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  const auto ensure = [&] { return ensure_network(services_, work.network); };
  if (work.network.kind != model::NetworkKind::nat) return outcome_of(ensure());
  return outcome_of(through_libvirt(services_, task, ensure));
}

}  // namespace bridgehead::host_agent
