#include "host_agent/manager/session.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "agent.grpc.pb.h"
#include "host_agent/manager/grpc_tunnel.h"
#include "host_agent/manager/join.h"
#include "host_agent/manager/manager_channel.h"
#include "host_agent/manager/messages_wire.h"
#include "host_agent/manager/outbox.h"
#include "host_agent/messages.h"
#include "pki/certificate.h"

namespace bridgehead::host_agent {

using agent::v1::AgentMessage;
using agent::v1::AgentService;
using agent::v1::ManagerMessage;
using std::chrono::milliseconds;

struct Session::State {
  State(Identity who, IdentityFile where, const Clock& time, RandomSource& source, SessionHandlers calls,
        SessionOptions how)
      : identity(std::move(who)),
        file(std::move(where)),
        clock(time),
        random(source),
        handlers(std::move(calls)),
        options(how) {}

  Identity identity;
  IdentityFile file;
  const Clock& clock;
  RandomSource& random;
  SessionHandlers handlers;
  SessionOptions options;
  Outbox outbox;

  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  bool welcomed = false;
  milliseconds heartbeat{};
  Timestamp renew_next{};
  std::shared_ptr<grpc::Channel> channel;  // while there is a stream
  grpc::ClientContext* context = nullptr;  // of the stream that is open
  std::string last_failure;                // logged once
  std::thread thread;

  using Stream = grpc::ClientReaderWriter<AgentMessage, ManagerMessage>;

  void run();
  void renew_if_due();
  bool renewal_due() const { return clock.now() >= renew_next; }
  void plan_renewal();
  Error talk();
  void write_all_of(Stream& stream);
  bool write_first(Stream& stream);
  bool write(Stream& stream, const Outgoing& message);
  void take(const ManagerMessage& message);
  void note_failure(const Error& error);
  void cancel_stream() {
    const std::lock_guard lock(mutex);
    if (context != nullptr) context->TryCancel();
  }
};

milliseconds next_wait(milliseconds last, const SessionOptions& options, RandomSource& random) {
  const auto shortest = options.shortest_wait;
  const auto widest = std::clamp(last * 3, shortest, options.longest_wait);
  const auto span = static_cast<std::uint64_t>((widest - shortest).count()) + 1;
  return shortest + milliseconds(random.next_u64() % span);
}

void Session::State::plan_renewal() {
  const auto due = renewal_time(identity);
  renew_next = due ? *due : clock.now();
}

void Session::State::run() {
  plan_renewal();
  auto wait = options.shortest_wait;
  std::unique_lock lock(mutex);
  while (!stopping) {
    welcomed = false;
    lock.unlock();
    renew_if_due();
    const auto error = talk();
    lock.lock();
    if (stopping) return;
    const bool fresh_certificate = renewal_due();
    if (!fresh_certificate) note_failure(error);
    // A stream that worked begins anew; one that never did waits longer each time.
    wait = welcomed ? options.shortest_wait : next_wait(wait, options, random);
    if (!fresh_certificate) this->wake.wait_for(lock, wait, [this] { return stopping; });
  }
}

void Session::State::note_failure(const Error& error) {
  const auto text = error.describe();
  if (text == last_failure && !welcomed) return;
  last_failure = text;
  log::warning(messages::manager_away, "{}: {}", identity.manager, text);
}

void Session::State::renew_if_due() {
  if (!renewal_due()) return;
  auto renewed = renew_certificate(identity, file, clock);
  if (renewed) {
    identity = std::move(*renewed);
    plan_renewal();
    log::info(messages::certificate_renewed, "for node {}", identity.node);
    return;
  }
  renew_next = clock.now() + options.renewal_retry;
  const auto expiry = pki::certificate_expiry(identity.certificate_pem);
  log::warning(messages::certificate_renewal_failed, "{}; the certificate ends at {}", renewed.error().describe(),
               expiry ? to_rfc3339(*expiry) : "an unknown time");
}

// One stream, from its opening to its end. What it ended with.
Error Session::State::talk() {
  grpc::ClientContext stream_context;
  auto opened = make_channel(identity.manager, identity.ca_pem, identity.certificate_pem, identity.key_pem);
  {
    const std::lock_guard lock(mutex);
    if (stopping) return {ErrorCode::cancelled, "the agent stops", {}};
    context = &stream_context;
    channel = opened;
    heartbeat = options.heartbeat;
  }
  const auto stub = AgentService::NewStub(opened);
  const auto stream = stub->Session(&stream_context);
  outbox.open();
  std::thread writer([&] { write_all_of(*stream); });
  ManagerMessage message;
  while (stream->Read(&message)) take(message);
  outbox.close();
  writer.join();
  const auto status = stream->Finish();
  const std::lock_guard lock(mutex);
  context = nullptr;
  channel.reset();
  if (const auto expiry = pki::certificate_expiry(identity.certificate_pem); expiry && *expiry <= clock.now()) {
    return {ErrorCode::unauthenticated, "this node's certificate has ended",
            "Remove identity.json of the agent's state directory and join again with a new join token."};
  }
  return status.ok() ? Error{ErrorCode::unavailable, "the manager ended the stream", {}} : from_grpc(status);
}

void Session::State::write_all_of(Stream& stream) {
  if (!write_first(stream)) return;
  auto last_beat = clock.monotonic();
  while (outbox.is_open()) {
    milliseconds interval;
    {
      const std::lock_guard lock(mutex);
      interval = heartbeat;
    }
    const auto left = std::chrono::ceil<milliseconds>(last_beat + interval - clock.monotonic());
    if (const auto message = outbox.pop(std::clamp(left, milliseconds(0), interval))) {
      if (!write(stream, *message)) return;
      continue;
    }
    if (clock.monotonic() - last_beat < interval) continue;
    AgentMessage beat;
    beat.set_heartbeat(model::encode(handlers.load()));
    if (!stream.Write(beat)) return;
    last_beat = clock.monotonic();
    if (renewal_due()) cancel_stream();
  }
}

bool Session::State::write_first(Stream& stream) {
  const auto report = handlers.report();
  AgentMessage first;
  first.set_report(model::encode(report));
  if (!stream.Write(first)) return false;
  for (const auto& assignment : report.assignments) {
    if (assignment.state != model::AssignmentState::running && !write(stream, assignment)) return false;
  }
  return true;
}

bool Session::State::write(Stream& stream, const Outgoing& message) {
  if (std::holds_alternative<ReportWanted>(message)) {
    AgentMessage whole;
    whole.set_report(model::encode(handlers.report()));
    return stream.Write(whole);
  }
  return stream.Write(to_wire(message));
}

void Session::State::take(const ManagerMessage& message) {
  switch (message.message_case()) {
    case ManagerMessage::kWelcome: {
      {
        const std::lock_guard lock(mutex);
        welcomed = true;
        last_failure.clear();
        if (const auto seconds = message.welcome().heartbeat_seconds(); seconds > 0 && seconds <= 3600) {
          heartbeat = std::chrono::seconds(seconds);
        }
      }
      log::info(messages::manager_connected, "{} as node {}", identity.manager, message.welcome().node_name());
      if (auto welcome = welcome_from_wire(message.welcome())) {
        handlers.welcome(*welcome);
      } else {
        log::warning(messages::manager_message_refused, "{}", welcome.error().describe());
      }
      return;
    }
    case ManagerMessage::kAssignment:
      if (const auto assignment = model::decode<model::Assignment>(message.assignment())) {
        handlers.assign(*assignment);
      } else {
        log::warning(messages::manager_message_refused, "{}", assignment.error().describe());
      }
      return;
    case ManagerMessage::kCancelOperation: return handlers.cancel(model::OperationId(message.cancel_operation()));
    case ManagerMessage::kAcknowledge: return handlers.acknowledge(model::OperationId(message.acknowledge()));
    case ManagerMessage::kOpenTunnel:
      if (const auto order = tunnel_from_wire(message.open_tunnel())) {
        handlers.open_tunnel(*order);
      } else {
        log::warning(messages::manager_message_refused, "{}", order.error().describe());
        outbox.push(TunnelRefused{model::TunnelId(message.open_tunnel().tunnel_id()), order.error()});
      }
      return;
    case ManagerMessage::kPing: return outbox.push(Pong{message.ping()});
    case ManagerMessage::kLeaseAnswer: return handlers.lease_answer(message.lease_answer());
    case ManagerMessage::kSecretFiles: return handlers.secrets(secrets_from_wire(message.secret_files()));
    case ManagerMessage::MESSAGE_NOT_SET: return;  // a newer manager's
  }
}

Session::Session(Identity identity, IdentityFile file, const Clock& clock, RandomSource& random,
                 SessionHandlers handlers, SessionOptions options)
    : state_(
          std::make_unique<State>(std::move(identity), std::move(file), clock, random, std::move(handlers), options)) {}

Session::~Session() { stop(); }

void Session::start() {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

void Session::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  state_->cancel_stream();
  if (state_->thread.joinable()) state_->thread.join();
}

bool Session::connected() const {
  const std::lock_guard lock(state_->mutex);
  return state_->welcomed && state_->channel != nullptr;
}

void Session::send(const model::ObservedVm& seen) { state_->outbox.push(seen); }
void Session::send_gone(const model::VmId& vm) { state_->outbox.push(VmGone{vm}); }
void Session::send(const model::AssignmentReport& report) { state_->outbox.push(report); }
void Session::send(const model::NodeUse& use) { state_->outbox.push(use); }
void Session::send_renewal(std::string text) { state_->outbox.push(RenewalText{std::move(text)}); }
void Session::send_report() { state_->outbox.push(ReportWanted{}); }
void Session::refuse_tunnel(const model::TunnelId& tunnel, const Error& error) {
  state_->outbox.push(TunnelRefused{tunnel, error});
}

std::unique_ptr<TunnelChannel> Session::dial_tunnel(const model::TunnelId& tunnel) {
  std::shared_ptr<grpc::Channel> channel;
  {
    const std::lock_guard lock(state_->mutex);
    channel = state_->channel;
  }
  return channel ? open_grpc_tunnel(channel, tunnel) : nullptr;
}

}  // namespace bridgehead::host_agent
