#include "host_agent/assignments/remove_pool.h"

#include "host_agent/remembered.h"

namespace bridgehead::host_agent {

Outcome RemovePoolHandler::run(const model::RemovePool& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  services_.pools.remove(work.pool.id);
  return outcome_of(forget(services_.journal, work.pool.id));
}

}  // namespace bridgehead::host_agent
