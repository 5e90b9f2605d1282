#include "host_agent/assignments/remove_pool.h"

#include "host_agent/remembered.h"

namespace bridgehead::host_agent {

Outcome RemovePoolHandler::run(const model::RemovePool& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  // Forgotten even where it can't be unmounted now: what is busy or hung goes by itself later.
  auto released = services_.pools.remove(work.pool.id).wait(services_.pools.deadlines().attach);
  if (auto forgotten = forget(services_.journal, work.pool.id); !forgotten) return failed(forgotten.error());
  return outcome_of(released);
}

}  // namespace bridgehead::host_agent
