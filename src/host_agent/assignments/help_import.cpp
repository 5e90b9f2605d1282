#include "host_agent/assignments/help_import.h"

namespace bridgehead::host_agent {

using storage::StoredImage;

Outcome HelpImportHandler::run(const model::HelpImport& work, const Task& task) {
  const auto pool = services_.pools.ensure(work.pool);
  if (!pool) return failed(pool.error());
  const auto source_pool = services_.pools.ensure(work.source_pool);
  if (!source_pool) return failed(source_pool.error());
  const auto source = source_pool->call<StoredImage>(
      [image = work.source_image](storage::ImagePool& images) { return images.inspect(image); });
  if (!source) return failed(source.error());
  const storage::HelpRequest request{
      .operation = task.operation, .leader = work.leader, .image = work.image, .source_path = source->path};
  auto call = pool->begin<void>([request, progress = task.progress, stop = task.stop](storage::ImagePool& images) {
    return images.help_import(request, progress, stop);
  });
  return outcome_of(call.wait_unless_stopped(task.stop, pool->deadlines().cancel));
}

}  // namespace bridgehead::host_agent
