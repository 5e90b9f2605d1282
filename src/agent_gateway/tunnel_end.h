// Our end of one tunnel: queues and flow control between a user of reconcile::Tunnel and the agent's Tunnel stream.
// Thread-safe. The user's handlers run on the given workers, one at a time, never under a lock and never inside a call
// of the user's. Ends exactly once: by the agent, by the user, or by fail() when node, stream or patience is gone.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include "agent_gateway/wire.h"
#include "base/worker_pool.h"
#include "reconcile/agent_port.h"

namespace bridgehead::agent_gateway {

class TunnelStream;

class TunnelEnd final : public std::enable_shared_from_this<TunnelEnd> {
 public:
  struct Limits {
    std::chrono::milliseconds open_within{10'000};
    std::chrono::milliseconds linger{3'000};  // how long last words may take to go out
    std::size_t chunk_bytes = 256U << 10;
    std::size_t queued_bytes = 64U << 20;  // a user that never waits for `sent` is stopped here
  };
  using Ended = std::function<void(const model::TunnelId&)>;

  TunnelEnd(model::TunnelId id, model::NodeId node, std::uint64_t session_number, reconcile::TunnelHandlers handlers,
            WorkerPool& workers, Limits limits, Ended ended);

  const model::TunnelId& id() const { return id_; }
  const model::NodeId& node() const { return node_; }
  std::uint64_t session_number() const { return session_number_; }

  // The agent must have dialled by then.
  void begin_waiting();
  // failed_precondition when it has a stream already or has ended.
  Status attach(TunnelStream* stream);
  // Ends it from our side: the handlers hear `error`.
  void fail(Error error);

  // For the user (reconcile::Tunnel).
  void write(std::string bytes, std::function<void()> sent);
  void resize(std::uint32_t columns, std::uint32_t rows);
  void finish();
  void close(const std::string& error);
  void resume();

  // From the stream.
  void on_read(bool ok, const grpc::ByteBuffer& buffer);
  void on_write();
  void on_cancel();
  void on_stream_done();

 private:
  enum class State { opening, open, ended };
  struct Outgoing {
    grpc::ByteBuffer buffer;
    std::function<void()> sent;  // called when it has gone out; may be empty
  };
  // All below: lock held.
  void queue(const google::protobuf::MessageLite& chunk, std::function<void()> sent);
  void end(Status result, grpc::Status status, const std::string& last_words);
  void pump();
  void read_next();
  void deliver_parked();
  void take(const grpc::ByteBuffer& buffer);
  void post(std::function<void()> callback);
  void drain();  // lock not held

  const model::TunnelId id_;
  const model::NodeId node_;
  const std::uint64_t session_number_;
  const Limits limits_;
  WorkerPool& workers_;
  const Ended ended_;

  std::mutex mutex_;
  reconcile::TunnelHandlers handlers_;
  State state_ = State::opening;
  TunnelStream* stream_ = nullptr;  // from attach to on_stream_done
  std::unique_ptr<grpc::Alarm> alarm_;

  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  bool writing_ = false;
  std::function<void()> writing_sent_;
  bool finishing_ = false;  // our `end` chunk is queued or sent
  std::optional<grpc::Status> last_status_;
  bool finished_ = false;  // the stream was finished

  bool reading_ = false;
  std::uint64_t credits_ = 0;          // chunks that the user has room for
  std::optional<std::string> parked_;  // read ahead, waits for a credit
  bool peer_ended_ = false;            // the agent's `end` has come

  std::deque<std::function<void()>> callbacks_;
  bool draining_ = false;
};

// The gRPC side of a TunnelEnd; deletes itself when gRPC is done with it.
class TunnelStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  TunnelStream(std::shared_ptr<TunnelEnd> end, grpc::CallbackServerContext* context)
      : end_(std::move(end)), context_(context) {}
  void cancel() { context_->TryCancel(); }
  grpc::ByteBuffer& incoming() { return incoming_; }
  grpc::ByteBuffer& outgoing() { return outgoing_; }

  void OnReadDone(bool ok) override { end_->on_read(ok, incoming_); }
  // A write that failed shows as a failed read, too.
  void OnWriteDone(bool) override { end_->on_write(); }
  void OnCancel() override { end_->on_cancel(); }
  void OnDone() override {
    end_->on_stream_done();
    delete this;
  }

 private:
  const std::shared_ptr<TunnelEnd> end_;
  grpc::CallbackServerContext* const context_;  // valid until OnDone
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
};

}  // namespace bridgehead::agent_gateway
