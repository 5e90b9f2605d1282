#include "agent_gateway/tunnel_end.h"

#include "agent.pb.h"

namespace bridgehead::agent_gateway {
namespace {

using Chunk = agent::v1::TunnelChunk;

constexpr char cut_message[] = "the connection to the node's agent was cut";

}  // namespace

TunnelEnd::TunnelEnd(model::TunnelId id, model::NodeId node, std::uint64_t session_number,
                     reconcile::TunnelHandlers handlers, WorkerPool& workers, Limits limits, Ended ended)
    : id_(std::move(id)),
      node_(std::move(node)),
      session_number_(session_number),
      limits_(limits),
      workers_(workers),
      ended_(std::move(ended)),
      handlers_(std::move(handlers)) {}

void TunnelEnd::begin_waiting() {
  const std::lock_guard lock(mutex_);
  if (state_ != State::opening) return;
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + limits_.open_within, [weak = weak_from_this()](bool expired) {
    const auto self = expired ? weak.lock() : nullptr;
    if (self) self->fail({ErrorCode::timeout, "the node's agent hasn't opened the connection in time", {}});
  });
}

Status TunnelEnd::attach(TunnelStream* stream) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::opening)
    return fail_with_hint(ErrorCode::failed_precondition, "this tunnel isn't waited for", {});
  state_ = State::open;
  stream_ = stream;
  alarm_.reset();
  if (handlers_.opened) post(handlers_.opened);
  pump();
  read_next();
  return {};
}

void TunnelEnd::fail(Error error) {
  const std::lock_guard lock(mutex_);
  end(tl::unexpected<Error>(error), to_grpc(error), error.describe());
}

void TunnelEnd::write(std::string bytes, std::function<void()> sent) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::ended || finishing_) return;
  for (std::size_t at = 0; at < bytes.size() || at == 0; at += limits_.chunk_bytes) {
    Chunk chunk;
    const bool last = at + limits_.chunk_bytes >= bytes.size();
    chunk.set_data(at == 0 && last ? std::move(bytes) : bytes.substr(at, limits_.chunk_bytes));
    queue(chunk, last ? std::move(sent) : nullptr);
    if (last) break;
  }
  if (queued_bytes_ > limits_.queued_bytes) {
    const Error error{ErrorCode::resource_exhausted, "more was written than the node takes", {}};
    end(tl::unexpected<Error>(error), to_grpc(error), error.message);
    return;
  }
  pump();
}

void TunnelEnd::resize(std::uint32_t columns, std::uint32_t rows) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::ended || finishing_) return;
  Chunk chunk;
  chunk.set_columns(columns);
  chunk.set_rows(rows);
  queue(chunk, nullptr);
  pump();
}

void TunnelEnd::finish() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::ended || finishing_) return;
  Chunk chunk;
  chunk.set_end(true);
  queue(chunk, nullptr);
  finishing_ = true;
  pump();
}

void TunnelEnd::close(const std::string& error) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::ended) return;
  callbacks_.clear();  // whoever closes wants no more data
  const Error reason{ErrorCode::cancelled, error.empty() ? "closed by the manager" : error, {}};
  end(tl::unexpected<Error>(reason), to_grpc(reason), error);
}

void TunnelEnd::resume() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::ended) return;
  ++credits_;
  deliver_parked();
  read_next();
}

void TunnelEnd::queue(const google::protobuf::MessageLite& chunk, std::function<void()> sent) {
  queue_.push_back({to_buffer(chunk), std::move(sent)});
  queued_bytes_ += queue_.back().buffer.Length();
}

// The stream, if there is one, still gets last words and status; for the user it is over.
void TunnelEnd::end(Status result, grpc::Status status, const std::string& last_words) {
  if (state_ == State::ended) return;
  state_ = State::ended;
  queue_.clear();
  queued_bytes_ = 0;
  writing_sent_ = nullptr;
  parked_.reset();
  alarm_.reset();
  post([self = shared_from_this(), result = std::move(result), closed = std::move(handlers_.closed)] {
    if (closed) closed(result);
    self->ended_(self->id_);
  });
  handlers_ = {};
  if (stream_ == nullptr) return;
  last_status_ = std::move(status);
  if (!last_words.empty()) {
    Chunk chunk;
    chunk.set_error(last_words);
    queue(chunk, nullptr);
  }
  if (writing_ || !queue_.empty()) {
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now() + limits_.linger, [weak = weak_from_this()](bool expired) {
      const auto self = expired ? weak.lock() : nullptr;
      if (!self) return;
      const std::lock_guard lock(self->mutex_);
      if (self->stream_ != nullptr) self->stream_->cancel();
    });
  }
  pump();
}

void TunnelEnd::pump() {
  if (stream_ == nullptr || writing_ || finished_) return;
  if (!queue_.empty()) {
    auto next = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= next.buffer.Length();
    writing_ = true;
    writing_sent_ = std::move(next.sent);
    stream_->outgoing() = std::move(next.buffer);
    stream_->StartWrite(&stream_->outgoing());
  } else if (last_status_) {
    finished_ = true;
    stream_->Finish(*last_status_);
  }
}

// One chunk is read ahead, so that the agent's end is noticed although nobody asks for more.
void TunnelEnd::read_next() {
  if (stream_ == nullptr || finished_ || state_ != State::open || reading_ || parked_ || peer_ended_) return;
  reading_ = true;
  stream_->incoming().Clear();
  stream_->StartRead(&stream_->incoming());
}

void TunnelEnd::deliver_parked() {
  if (parked_ && credits_ > 0) {
    --credits_;
    if (handlers_.data)
      post([data = handlers_.data, bytes = std::move(*parked_)]() mutable { data(std::move(bytes)); });
    parked_.reset();
  }
  if (!parked_ && peer_ended_) end({}, grpc::Status::OK, {});
}

void TunnelEnd::take(const grpc::ByteBuffer& buffer) {
  Chunk chunk;
  if (!chunk.ParseFromString(to_bytes(buffer))) {
    const Error error{ErrorCode::invalid_argument, "the node's agent sent something that isn't a chunk", {}};
    end(tl::unexpected<Error>(error), to_grpc(error), error.message);
    return;
  }
  if (!chunk.error().empty()) {
    end(bridgehead::fail(ErrorCode::io_error, "the node ended it: {}", chunk.error()), grpc::Status::OK, {});
    return;
  }
  if (!chunk.data().empty()) parked_ = std::move(*chunk.mutable_data());
  if (chunk.end()) peer_ended_ = true;
  deliver_parked();
}

void TunnelEnd::on_read(bool ok, const grpc::ByteBuffer& buffer) {
  const std::lock_guard lock(mutex_);
  reading_ = false;
  if (state_ != State::open) return;
  if (!ok) {
    end(bridgehead::fail(ErrorCode::unavailable, cut_message), grpc::Status::CANCELLED, {});
    return;
  }
  take(buffer);
  read_next();
}

void TunnelEnd::on_write() {
  const std::lock_guard lock(mutex_);
  writing_ = false;
  if (writing_sent_ && state_ != State::ended) post(std::move(writing_sent_));
  writing_sent_ = nullptr;
  pump();
}

// Seen also while nothing is read because the user has no room.
void TunnelEnd::on_cancel() {
  const std::lock_guard lock(mutex_);
  end(bridgehead::fail(ErrorCode::unavailable, cut_message), grpc::Status::CANCELLED, {});
}

void TunnelEnd::on_stream_done() {
  const std::lock_guard lock(mutex_);
  stream_ = nullptr;
  alarm_.reset();
  end(bridgehead::fail(ErrorCode::unavailable, cut_message), grpc::Status::OK, {});
}

void TunnelEnd::post(std::function<void()> callback) {
  callbacks_.push_back(std::move(callback));
  if (draining_) return;
  draining_ = workers_.submit([self = shared_from_this()] { self->drain(); });
}

void TunnelEnd::drain() {
  for (;;) {
    std::function<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      if (callbacks_.empty()) {
        draining_ = false;
        return;
      }
      callback = std::move(callbacks_.front());
      callbacks_.pop_front();
    }
    callback();
  }
}

}  // namespace bridgehead::agent_gateway
