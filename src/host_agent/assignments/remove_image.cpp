#include "host_agent/assignments/remove_image.h"

namespace bridgehead::host_agent {

Outcome RemoveImageHandler::run(const model::RemoveImage& work, const Task& task) {
  if (task.stop.stop_requested()) return failed(cancelled_error());
  const auto pool = services_.pools.ensure(work.pool);
  if (!pool) return failed(pool.error());
  return outcome_of(
      pool->call<void>([image = work.image](storage::ImagePool& images) { return images.remove(image); }));
}

}  // namespace bridgehead::host_agent
