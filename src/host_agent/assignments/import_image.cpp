#include "host_agent/assignments/import_image.h"

#include "host_agent/assignments/import_paths.h"

namespace bridgehead::host_agent {
namespace {

using storage::StoredImage;

// Tells the sender when the import has ended, however it ended.
class UploadGuard {
 public:
  UploadGuard(UploadRendezvous& uploads, model::OperationId operation)
      : uploads_(uploads), operation_(std::move(operation)) {}
  UploadGuard(const UploadGuard&) = delete;
  UploadGuard& operator=(const UploadGuard&) = delete;
  ~UploadGuard() {
    uploads_.end(operation_, {ErrorCode::failed_precondition, "the import has ended and takes no more bytes", {}});
  }

 private:
  UploadRendezvous& uploads_;
  model::OperationId operation_;
};

Result<std::filesystem::path> source_path(const NodeServices& services, const model::ImportImage& work) {
  if (work.source.kind == model::ImageSourceKind::path) {
    return check_import_path(services.import_directories, work.source.location);
  }
  auto pool = services.pools.ensure(work.source_pool);
  if (!pool) return forward(pool);
  const auto stored = pool->call<StoredImage>(
      [image = work.source_image](storage::ImagePool& images) { return images.inspect(image); });
  if (!stored) return forward(stored);
  return stored->path;
}

}  // namespace

// What an earlier run has made, where this one doesn't come to look at it.
void ImportImageHandler::forget(const Task& task, const PoolHandle& pool) {
  if (!task.resumed) return;
  (void)pool.call<void>([this, operation = task.operation](storage::ImagePool& images) {
    return images.collect_garbage(
        [&](const model::OperationId& other) { return other != operation && services_.journal.is_unfinished(other); });
  });
}

Outcome ImportImageHandler::run(const model::ImportImage& work, const Task& task) {
  std::optional<UploadGuard> guard;
  if (work.source.kind == model::ImageSourceKind::upload) guard.emplace(services_.uploads, task.operation);
  // What an earlier run has left is removed by the import itself, cancelled or not.
  if (task.stop.stop_requested() && !task.resumed) return failed(cancelled_error());
  auto pool = services_.pools.ensure(work.pool);
  if (!pool) return failed(pool.error());
  storage::ImportRequest request{.operation = task.operation,
                                 .image = work.image,
                                 .source = work.source,
                                 .helpers = work.helpers,
                                 .leaving = task.leaving};
  // Published before a crash: no source is needed any more, least of all an upload sent again.
  const auto published =
      pool->call<StoredImage>([image = work.image](storage::ImagePool& images) { return images.inspect(image); });
  const bool needs_source = !(task.resumed && published);
  if (!needs_source) forget(task, *pool);

  std::shared_ptr<UploadPipe> upload;
  if (needs_source && work.source.kind == model::ImageSourceKind::upload) {
    task.progress({.phase = "wait for upload"});
    auto pipe = services_.uploads.accept(task.operation, services_.timings.upload_wait, task.stop);
    if (!pipe) return failed(pipe.error());
    upload = std::move(*pipe);
    request.upload = upload.get();
  } else if (needs_source && work.source.kind != model::ImageSourceKind::url) {
    auto path = source_path(services_, work);
    if (!path) {
      forget(task, *pool);
      return failed(path.error());
    }
    request.source_path = std::move(*path);
  }
  Result<StoredImage> stored = published;
  if (needs_source) {
    // A reader that waits for bytes must wake up when the user cancels.
    const std::stop_callback wake(task.stop, [pipe = upload] {
      if (pipe) pipe->close(cancelled_error());
    });
    auto call = pool->begin<StoredImage>(
        [request, pipe = upload, progress = task.progress, stop = task.stop](storage::ImagePool& images) {
          return images.import_golden(request, progress, stop);
        });
    stored = call.wait_unless_stopped(task.stop, pool->deadlines().cancel);
  }
  if (!stored) return failed(stored.error());
  auto image = work.image;
  image.state = model::ImageState::ready;
  image.message.clear();
  image.format = stored->format;
  image.virtual_size = stored->virtual_size;
  image.allocated = stored->allocated;
  if (!stored->sha256.empty()) image.sha256 = stored->sha256;
  return {.images = {std::move(image)}};
}

}  // namespace bridgehead::host_agent
