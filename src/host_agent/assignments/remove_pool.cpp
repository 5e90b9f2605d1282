#include "host_agent/assignments/remove_pool.h"

namespace bridgehead::host_agent {

Outcome RemovePoolHandler::run(const model::RemovePool& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  services_.pools.remove(work.pool.id);
  return {};
}

}  // namespace bridgehead::host_agent
