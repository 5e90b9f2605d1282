#include "host_agent/assignments/ensure_pool.h"

#include "host_agent/remembered.h"

namespace bridgehead::host_agent {

Outcome EnsurePoolHandler::run(const model::EnsurePool& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  task.progress({.phase = "attach"});
  const auto pool = services_.pools.ensure(work.pool);
  if (pool) return outcome_of(remember(services_.journal, work.pool));
  // An administrator who takes the path back must not find the agent still trying it.
  [[maybe_unused]] const auto released = services_.pools.remove(work.pool.id).wait(services_.pools.deadlines().status);
  if (auto forgotten = forget(services_.journal, work.pool.id); !forgotten) return failed(forgotten.error());
  return failed(pool.error());
}

}  // namespace bridgehead::host_agent
