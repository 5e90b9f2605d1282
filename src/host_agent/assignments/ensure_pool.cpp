#include "host_agent/assignments/ensure_pool.h"

#include "host_agent/remembered.h"

namespace bridgehead::host_agent {

Outcome EnsurePoolHandler::run(const model::EnsurePool& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  task.progress({.phase = "attach"});
  // Whatever comes of it now: the housekeeper tries again what isn't ready. If no node can use the pool, the manager
  // takes it back by remove_pool.
  if (auto kept = remember(services_.journal, work.pool); !kept) return failed(kept.error());
  const auto pool = services_.pools.ensure(work.pool);
  return pool ? Outcome{} : failed(pool.error());
}

}  // namespace bridgehead::host_agent
