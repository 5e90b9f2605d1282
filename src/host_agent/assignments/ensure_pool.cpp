#include "host_agent/assignments/ensure_pool.h"

namespace bridgehead::host_agent {

Outcome EnsurePoolHandler::run(const model::EnsurePool& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  task.progress({.phase = "attach"});
  const auto pool = services_.pools.ensure(work.pool);
  if (pool) return {};
  // An administrator who takes the path back must not find the agent still trying it.
  services_.pools.remove(work.pool.id);
  return failed(pool.error());
}

}  // namespace bridgehead::host_agent
