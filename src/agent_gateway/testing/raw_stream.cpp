#include "agent_gateway/testing/raw_stream.h"

#include "agent_gateway/wire.h"

namespace bridgehead::agent_gateway::testing {

RawStream::RawStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::map<std::string, std::string>& metadata)
    : stub_(channel) {
  for (const auto& [key, value] : metadata) context_.AddMetadata(key, value);
  stub_.PrepareBidiStreamingCall(&context_, "/bridgehead.agent.v1.AgentService/" + method, {}, this);
  AddHold();  // reads and writes are started from a test's thread
  StartCall();
}

RawStream::~RawStream() {
  context_.TryCancel();
  {
    const std::lock_guard lock(mutex_);
    release();
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return status_.has_value(); });
}

void RawStream::release() {
  if (held_) RemoveHold();
  held_ = false;
}

void RawStream::send(std::string bytes) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(to_buffer(bytes));
  pump();
}

void RawStream::writes_done() {
  const std::lock_guard lock(mutex_);
  half_close_ = true;
  pump();
}

void RawStream::pump() {
  if (writing_ || ended_ || !held_) return;
  if (!queue_.empty()) {
    outgoing_ = std::move(queue_.front());
    queue_.pop_front();
    writing_ = true;
    StartWrite(&outgoing_);
  } else if (half_close_) {
    half_close_ = false;
    StartWritesDone();
  }
}

std::size_t RawStream::written() const {
  const std::lock_guard lock(mutex_);
  return written_;
}

std::optional<std::string> RawStream::receive(std::chrono::milliseconds within) {
  std::unique_lock lock(mutex_);
  if (received_.empty() && !reading_ && !ended_ && held_) {
    reading_ = true;
    StartRead(&incoming_);
  }
  changed_.wait_for(lock, within, [this] { return !received_.empty() || ended_; });
  if (received_.empty()) return std::nullopt;
  auto bytes = std::move(received_.front());
  received_.pop_front();
  return bytes;
}

grpc::Status RawStream::status(std::chrono::milliseconds within) {
  while (receive(within)) {
  }
  std::unique_lock lock(mutex_);
  release();
  if (!changed_.wait_for(lock, within, [this] { return status_.has_value(); })) {
    return {grpc::StatusCode::UNKNOWN, "the test waited in vain for the stream's end"};
  }
  return *status_;
}

void RawStream::OnReadDone(bool ok) {
  const std::lock_guard lock(mutex_);
  reading_ = false;
  if (ok) {
    received_.push_back(to_bytes(incoming_));
    incoming_.Clear();
  } else {
    ended_ = true;
  }
  changed_.notify_all();
}

void RawStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  writing_ = false;
  if (ok) {
    ++written_;
    pump();
  }
  changed_.notify_all();
}

void RawStream::OnDone(const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  status_ = status;
  changed_.notify_all();
}

}  // namespace bridgehead::agent_gateway::testing
