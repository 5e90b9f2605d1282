#include "host_agent/assignments/ensure_network.h"

namespace bridgehead::host_agent {

Outcome EnsureNetworkHandler::run(const model::EnsureNetwork& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  return outcome_of(services_.hypervisor.ensure_network(work.network));
}

}  // namespace bridgehead::host_agent
