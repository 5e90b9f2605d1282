#include "agent_gateway/session.h"

#include "agent.pb.h"
#include "agent_gateway/messages.h"

namespace bridgehead::agent_gateway {

Session::Session(SessionHost& host, model::NodeId node, std::string peer, std::uint64_t number, Limits limits,
                 grpc::CallbackServerContext* context)
    : host_(host),
      node_(std::move(node)),
      peer_(std::move(peer)),
      number_(number),
      limits_(limits),
      context_(context) {}

void Session::start(const google::protobuf::MessageLite& welcome) {
  const std::lock_guard lock(mutex_);
  self_ = shared_from_this();
  queue_.push_back(to_buffer(welcome));
  queued_bytes_ += queue_.back().Length();
  pump();
  begin_read();
  first_report_alarm_ = std::make_unique<grpc::Alarm>();
  first_report_alarm_->Set(std::chrono::system_clock::now() + limits_.first_report,
                           [weak = weak_from_this()](bool expired) {
                             const auto session = expired ? weak.lock() : nullptr;
                             if (session) session->end({grpc::StatusCode::DEADLINE_EXCEEDED, "no report came"}, true);
                           });
}

bool Session::send(const google::protobuf::MessageLite& message) {
  auto buffer = to_buffer(message);
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || done_) return false;
    if (queue_.size() < limits_.queued_messages && queued_bytes_ + buffer.Length() <= limits_.queued_bytes) {
      queued_bytes_ += buffer.Length();
      queue_.push_back(std::move(buffer));
      pump();
      return true;
    }
  }
  log::warning(agent_too_slow, "node {} at {} has {} messages waiting for it", node_, peer_, limits_.queued_messages);
  end({grpc::StatusCode::RESOURCE_EXHAUSTED, "you don't read what the manager sends"}, true);
  return false;
}

void Session::end(grpc::Status status, bool cut) {
  const std::lock_guard lock(mutex_);
  if (ending_ || done_) return;
  ending_ = std::move(status);
  queue_.clear();
  queued_bytes_ = 0;
  if (cut && write_outstanding_) context_->TryCancel();  // pump sends the status when nothing is being written
  pump();
}

void Session::probe(std::chrono::milliseconds patience) {
  agent::v1::ManagerMessage ping;
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || done_ || probe_alarm_ || !answers_pings_) return;
    ping.set_ping(++probes_);
    probe_alarm_ = std::make_unique<grpc::Alarm>();
    probe_alarm_->Set(std::chrono::system_clock::now() + patience, [weak = weak_from_this()](bool expired) {
      const auto session = expired ? weak.lock() : nullptr;
      if (!session) return;
      log::info(agent_gone, "node {} at {}", session->node(), session->peer());
      session->end({grpc::StatusCode::DEADLINE_EXCEEDED, "you don't answer"}, true);
    });
  }
  send(ping);
}

bool Session::alive() const {
  const std::lock_guard lock(mutex_);
  return !ending_ && !done_;
}

void Session::pump() {
  if (write_outstanding_ || finished_) return;
  if (ending_) {
    finished_ = true;
    Finish(*ending_);
    return;
  }
  if (queue_.empty()) return;
  outgoing_ = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= outgoing_.Length();
  write_outstanding_ = true;
  StartWrite(&outgoing_);
}

void Session::begin_read() {
  if (finished_) return;
  incoming_.Clear();
  StartRead(&incoming_);
}

void Session::OnReadDone(bool ok) {
  if (!ok) {
    end(grpc::Status::OK, true);
    return;
  }
  take(to_bytes(incoming_));
  const std::lock_guard lock(mutex_);
  begin_read();
}

void Session::take(std::string bytes) {
  auto message = decode_agent_message(bytes);
  if (message && !opened_ && !std::holds_alternative<model::NodeReport>(*message)) {
    message = fail(ErrorCode::invalid_argument, "the first message must be a report");
  }
  if (!message) {
    log::warning(agent_message_refused, "node {} at {}: {}", node_, peer_, message.error().message);
    end(to_grpc(message.error()), false);
    return;
  }
  if (!alive()) return;
  if (const auto* pong = std::get_if<Pong>(&*message)) {
    const std::lock_guard lock(mutex_);
    if (pong->number == probes_) probe_alarm_.reset();
    return;
  }
  if (const auto* report = std::get_if<model::NodeReport>(&*message)) {
    const std::lock_guard lock(mutex_);
    answers_pings_ = report->answers_pings;
  }
  if (opened_) {
    host_.session_message(*this, std::move(*message));
    return;
  }
  opened_ = true;
  {
    const std::lock_guard lock(mutex_);
    first_report_alarm_.reset();
  }
  host_.session_opened(shared_from_this(), std::get<model::NodeReport>(std::move(*message)));
}

void Session::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  write_outstanding_ = false;
  if (!ok && !ending_) ending_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the connection is gone");
  pump();
}

void Session::OnDone() {
  std::shared_ptr<Session> self;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    first_report_alarm_.reset();
    probe_alarm_.reset();
    self = std::move(self_);
  }
  host_.session_ended(*this);
}

}  // namespace bridgehead::agent_gateway
