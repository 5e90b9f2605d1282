#include "performance/simulated_agents.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include "agent.grpc.pb.h"
#include "model/codec.h"
#include "performance/agent_channel.h"

namespace bridgehead::performance {
namespace {

using agent::v1::AgentMessage;
using agent::v1::ManagerMessage;

}  // namespace

class SimulatedAgents::Agent final : public grpc::ClientBidiReactor<AgentMessage, ManagerMessage> {
 public:
  Agent(const SimulatedCluster& cluster, const SimulatedNode& node, int port)
      : stub_(agent::v1::AgentService::NewStub(agent_channel(cluster, node, port))) {
    outgoing_.set_report(model::encode(node.report));
    load_ = model::encode(node.report.load);
    stub_->async()->Session(&context_, this);
    AddHold();  // heartbeats start from a timer
    writing_ = true;
    StartWrite(&outgoing_);
    StartRead(&incoming_);
    StartCall();
  }
  ~Agent() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      alarm_.Cancel();
    }
    context_.TryCancel();
    release();
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return done_ && !armed_; });
  }
  bool connected() const { return connected_; }
  bool on_its_way() const { return !welcomed_ && !finished_; }
  bool finished() const { return finished_; }

  void OnReadDone(bool ok) override {
    if (!ok) {
      connected_ = false;
      release();
      return;
    }
    if (incoming_.has_welcome()) {
      welcomed_ = true;
      interval_ = std::chrono::seconds(std::max(1U, incoming_.welcome().heartbeat_seconds()));
      // The first one at a time of its own, so that they don't all come at once.
      arm(std::chrono::milliseconds(std::hash<std::string>{}(incoming_.welcome().node_id()) %
                                    static_cast<std::size_t>(interval_.count())));
    }
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (ok && outgoing_.has_heartbeat()) connected_ = true;
  }
  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock(mutex_);
    if (!stopping_) fmt::print(stderr, "an agent's stream ended: {}\n", status.error_message());
    connected_ = false;
    finished_ = true;
    done_ = true;
    ended_.notify_all();
  }

 private:
  void release() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(held_, false)) RemoveHold();
  }
  void arm(std::chrono::milliseconds after) {
    const std::lock_guard lock(mutex_);
    if (!stopping_) set_alarm(after);
  }
  void set_alarm(std::chrono::milliseconds after) {
    armed_ = true;
    alarm_.Set(std::chrono::system_clock::now() + after, [this](bool expired) { heartbeat(expired); });
  }
  void heartbeat(bool expired) {
    const std::lock_guard lock(mutex_);
    armed_ = false;
    ended_.notify_all();
    if (!expired || stopping_ || !held_) return;
    if (!writing_) {
      outgoing_.set_heartbeat(load_);
      writing_ = true;
      StartWrite(&outgoing_);
    }
    set_alarm(interval_);
  }

  std::unique_ptr<agent::v1::AgentService::Stub> stub_;
  grpc::ClientContext context_;
  AgentMessage outgoing_;
  ManagerMessage incoming_;
  std::string load_;
  std::chrono::milliseconds interval_{5000};
  grpc::Alarm alarm_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::atomic<bool> connected_ = false;
  std::atomic<bool> welcomed_ = false;
  std::atomic<bool> finished_ = false;
  bool writing_ = false;
  bool held_ = true;
  bool stopping_ = false;
  bool armed_ = false;
  bool done_ = false;
};

SimulatedAgents::SimulatedAgents(const SimulatedCluster& cluster, int port) : cluster_(cluster), port_(port) {
  for (const auto& node : cluster.nodes) {
    agents_.push_back(std::make_unique<Agent>(cluster, node, port));
    // As many handshakes at once as a rack that comes back after a power cut.
    while (std::ranges::count_if(agents_, [](const auto& agent) { return agent->on_its_way(); }) > 100) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

// As a real agent does.
void SimulatedAgents::dial_again() {
  for (std::size_t n = 0; n < agents_.size(); ++n) {
    if (agents_[n]->finished()) agents_[n] = std::make_unique<Agent>(cluster_, cluster_.nodes[n], port_);
  }
}

SimulatedAgents::~SimulatedAgents() = default;

std::size_t SimulatedAgents::connected() const {
  return static_cast<std::size_t>(std::ranges::count_if(agents_, [](const auto& agent) { return agent->connected(); }));
}

bool SimulatedAgents::wait_connected(std::chrono::seconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (connected() < agents_.size()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    dial_again();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

}  // namespace bridgehead::performance
