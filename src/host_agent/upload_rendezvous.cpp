#include "host_agent/upload_rendezvous.h"

namespace bridgehead::host_agent {

Status UploadPipe::push(std::string bytes) {
  if (bytes.empty()) return {};  // an empty chunk would read as the end
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return bytes_ < most_bytes_ || closed_ || abandoned_; });
  if (closed_) return fail(*closed_);
  if (abandoned_) return fail(*abandoned_);
  bytes_ += bytes.size();
  chunks_.push_back(std::move(bytes));
  changed_.notify_all();
  return {};
}

void UploadPipe::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

void UploadPipe::abandon(Error error) {
  const std::lock_guard lock(mutex_);
  if (!finished_ && !abandoned_) abandoned_ = std::move(error);
  changed_.notify_all();
}

bool UploadPipe::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_.has_value();
}

Result<std::string> UploadPipe::read() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !chunks_.empty() || finished_ || abandoned_ || closed_; });
  if (closed_) return fail(*closed_);
  if (abandoned_) return fail(*abandoned_);
  if (chunks_.empty()) return std::string();
  auto bytes = std::move(chunks_.front());
  chunks_.pop_front();
  bytes_ -= bytes.size();
  changed_.notify_all();
  return bytes;
}

void UploadPipe::close(Error reason) {
  const std::lock_guard lock(mutex_);
  if (!closed_) closed_ = std::move(reason);
  chunks_.clear();
  bytes_ = 0;
  changed_.notify_all();
}

Result<std::shared_ptr<UploadPipe>> UploadRendezvous::offer(const model::OperationId& operation) {
  const std::lock_guard lock(mutex_);
  if (ended_.contains(operation)) {
    return fail(ErrorCode::failed_precondition, "the import {} has ended and takes no more bytes", operation);
  }
  if (const auto found = pipes_.find(operation); found != pipes_.end() && !found->second->abandoned()) {
    return fail(ErrorCode::already_exists, "another upload for operation {} is under way", operation);
  }
  auto pipe = std::make_shared<UploadPipe>(most_bytes_);
  pipes_[operation] = pipe;
  offered_.notify_all();
  return pipe;
}

void UploadRendezvous::end(const model::OperationId& operation, const Error& reason) {
  const std::lock_guard lock(mutex_);
  ended_.insert(operation);
  const auto found = pipes_.find(operation);
  if (found == pipes_.end()) return;
  found->second->close(reason);
  pipes_.erase(found);
}

Result<std::shared_ptr<UploadPipe>> UploadRendezvous::accept(const model::OperationId& operation,
                                                             std::chrono::milliseconds timeout, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const bool offered = offered_.wait_for(lock, stop, timeout, [&] { return pipes_.contains(operation); });
  if (offered) return pipes_[operation];
  if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled while waiting for the upload");
  return fail_with_hint(ErrorCode::timeout, "the bytes of the upload never came",
                        "Create the image again and send the file right away.");
}

}  // namespace bridgehead::host_agent
