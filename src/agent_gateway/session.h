// One agent's stream: takes its messages in order, sends ours through a bounded queue. Lives until gRPC is done with
// it. Thread-safe. Fails by ending the stream with the gRPC status that says why; the agent dials again by itself.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include "agent_gateway/agent_message.h"
#include "agent_gateway/wire.h"

namespace bridgehead::agent_gateway {

class Session;

// What a session tells its owner; called from gRPC's threads without a lock of the session held.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // The first message has come: from now on this is the node's stream.
  virtual void session_opened(const std::shared_ptr<Session>& session, model::NodeReport report) = 0;
  virtual void session_message(Session& session, AgentMessage message) = 0;
  // Last call; also for a session that never was opened.
  virtual void session_ended(Session& session) = 0;
};

class Session final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                      public std::enable_shared_from_this<Session> {
 public:
  struct Limits {
    std::size_t queued_messages = 4096;
    std::size_t queued_bytes = 32U << 20;
    std::chrono::milliseconds first_report{30'000};  // an agent that has said nothing by then is cut off
  };

  // `number`: unique among this gateway's sessions. gRPC owns the result (start) until it calls OnDone.
  Session(SessionHost& host, model::NodeId node, std::string peer, std::uint64_t number, Limits limits,
          grpc::CallbackServerContext* context);

  // Sends `welcome` and begins to read.
  void start(const google::protobuf::MessageLite& welcome);

  // False: the stream is ending. A queue that is full ends it.
  bool send(const google::protobuf::MessageLite& message);
  // `cut`: don't wait until what is being sent has gone out.
  void end(grpc::Status status, bool cut);
  // Asks the agent for a sign of life and ends the stream when none comes in time. One at a time: a second question
  // waits for the first one's answer. Nothing happens to one that never said that it answers.
  void probe(std::chrono::milliseconds patience);
  bool alive() const;

  const model::NodeId& node() const { return node_; }
  const std::string& peer() const { return peer_; }
  std::uint64_t number() const { return number_; }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  void take(std::string bytes);
  void pump();        // lock held
  void begin_read();  // lock held

  SessionHost& host_;
  const model::NodeId node_;
  const std::string peer_;
  const std::uint64_t number_;
  const Limits limits_;
  grpc::CallbackServerContext* const context_;  // valid until OnDone

  mutable std::mutex mutex_;
  std::shared_ptr<Session> self_;  // what keeps it alive until OnDone
  std::deque<grpc::ByteBuffer> queue_;
  std::size_t queued_bytes_ = 0;
  std::optional<grpc::Status> ending_;
  bool finished_ = false;  // Finish was called
  bool done_ = false;
  bool write_outstanding_ = false;
  bool opened_ = false;  // touched by the reading callbacks only, which come one at a time
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  std::unique_ptr<grpc::Alarm> first_report_alarm_;
  bool answers_pings_ = false;
  std::uint64_t probes_ = 0;                  // the newest one's number
  std::unique_ptr<grpc::Alarm> probe_alarm_;  // while its answer is awaited
};

}  // namespace bridgehead::agent_gateway
