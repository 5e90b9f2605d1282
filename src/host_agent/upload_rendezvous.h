// UploadRendezvous: where the bytes of an upload (a tunnel's thread) meet the import that wants them (a worker), by
// operation. A bounded queue between the two: an import that writes slowly slows the sender down.
// Thread-safe. Either side may come first. Fails with cancelled (stop), timeout (nobody came), already_exists (a second
// upload for the same import), or the reason that the other side gave up with.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>

#include "model/ids.h"
#include "storage/image_pool.h"

namespace bridgehead::host_agent {

// One upload's queue.
class UploadPipe final : public storage::ByteStream {
 public:
  explicit UploadPipe(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  // The sender's side. push blocks while the queue is full.
  Status push(std::string bytes);
  void finish();              // that was all
  void abandon(Error error);  // the sender gave up or was cut off
  bool abandoned() const;

  // The import's side.
  Result<std::string> read() override;
  void close(Error reason);  // no more is wanted: push fails with this

 private:
  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> chunks_;
  std::size_t bytes_ = 0;
  bool finished_ = false;
  std::optional<Error> abandoned_;
  std::optional<Error> closed_;
};

class UploadRendezvous {
 public:
  explicit UploadRendezvous(std::size_t most_bytes = 4 << 20) : most_bytes_(most_bytes) {}

  // The sender's: makes the pipe for an operation. After an upload that was abandoned, another may be tried.
  Result<std::shared_ptr<UploadPipe>> offer(const model::OperationId& operation);

  // The import's: waits until an upload is offered.
  Result<std::shared_ptr<UploadPipe>> accept(const model::OperationId& operation, std::chrono::milliseconds timeout,
                                             std::stop_token stop);
  // The import's, at its end, however it ended: whoever sends or will send is told `reason`.
  void end(const model::OperationId& operation, const Error& reason);

 private:
  const std::size_t most_bytes_;
  std::mutex mutex_;
  std::condition_variable_any offered_;
  std::set<model::OperationId> ended_;  // an id per upload since the agent's start
  std::map<model::OperationId, std::shared_ptr<UploadPipe>> pipes_;
};

}  // namespace bridgehead::host_agent
