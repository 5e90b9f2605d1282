#include "dashboard/working_agents.h"

#include "agent.grpc.pb.h"
#include "dashboard/fake_tunnel.h"
#include "model/codec.h"
#include "performance/agent_channel.h"
#include "reconcile/testing/fake_agent.h"

namespace bridgehead::dashboard {
namespace {

using agent::v1::AgentMessage;
using agent::v1::ManagerMessage;
using reconcile::testing::FakeAgent;
using reconcile::testing::Said;

AgentMessage message_of(const Said& said) {
  AgentMessage message;
  switch (said.what) {
    case Said::What::observed: message.set_observed_vm(model::encode(said.observed)); break;
    case Said::What::gone: message.set_vm_gone(said.gone.str()); break;
    case Said::What::report: message.set_assignment_report(model::encode(said.report)); break;
  }
  return message;
}

}  // namespace

// One thread reads its stream and dials again; the worker steps it and writes.
class WorkingAgents::Agent {
 public:
  Agent(WorkingAgents& all, const performance::SimulatedCluster& cluster, const performance::SimulatedNode& node,
        std::size_t number, int port)
      : fake(node.id),
        all_(all),
        report_(node.report),
        busy_(number < 2 ? 1.8 : 0.2),
        channel_(performance::agent_channel(cluster, node, port)),
        stub_(agent::v1::AgentService::NewStub(channel_)) {
    for (const auto& [pool, view] : report_.pools) fake.pools.insert(pool);
    for (const auto& vm : report_.vms) {
      fake.guests[vm.vm] = {.generation = vm.generation, .lease = vm.lease, .power = model::PowerState::running};
    }
  }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void stop() {
    {
      const std::lock_guard lock(all_.mutex_);
      if (context_) context_->TryCancel();
    }
    if (thread_.joinable()) thread_.join();
  }

  // With the lock held.
  void step(bool heartbeat) {
    if (!stream_) return;
    std::erase_if(awaited_, [&](const auto& awaited) {
      const auto upload = uploads_.find(awaited.first);
      if (upload == uploads_.end() || !upload->second->ended()) return false;
      fake.assign(awaited.second);
      return true;
    });
    if (fake.busy()) fake.work(0, false);
    for (; !fake.said.empty(); fake.said.pop_front()) stream_->Write(message_of(fake.said.front()));
    if (!heartbeat) return;
    AgentMessage message;
    message.set_heartbeat(model::encode(report_.load));
    stream_->Write(message);
    model::NodeUse use;
    for (const auto& [vm, guest] : fake.guests) {
      if (guest.power != model::PowerState::running) continue;
      use.guests.push_back({.vm = vm, .cpus = busy_, .memory = 2_GiB, .storage = 1e6, .network = 2e5});
      use.cpus += busy_;
    }
    message.set_use(model::encode(use));
    stream_->Write(message);
  }

  FakeAgent fake;

 private:
  using Stream = grpc::ClientReaderWriter<AgentMessage, ManagerMessage>;

  void run() {
    while (!all_.stopping_) {
      const auto soon = std::chrono::system_clock::now() + std::chrono::milliseconds(200);
      if (!channel_->WaitForConnected(soon)) continue;
      const auto stream = open();
      ManagerMessage message;
      while (stream->Read(&message)) {
        const std::lock_guard lock(all_.mutex_);
        hear(message);
      }
      {
        const std::lock_guard lock(all_.mutex_);
        fake.lose_stream();
        stream_ = nullptr;
      }
    }
    tunnels_.clear();
  }
  std::unique_ptr<Stream> open() {
    const std::lock_guard lock(all_.mutex_);
    context_ = std::make_unique<grpc::ClientContext>();
    if (all_.stopping_) context_->TryCancel();
    auto stream = stub_->Session(context_.get());
    auto report = fake.report({});
    report.facts = report_.facts;
    report.load = report_.load;
    report.pools = report_.pools;
    AgentMessage first;
    first.set_report(model::encode(report));
    stream->Write(first);
    stream_ = stream.get();
    return stream;
  }
  void hear(const ManagerMessage& message) {
    if (message.has_assignment()) {
      if (const auto assignment = model::decode<model::Assignment>(message.assignment())) take(*assignment);
    } else if (message.has_cancel_operation()) {
      fake.cancel(model::OperationId(message.cancel_operation()));
    } else if (message.has_acknowledge()) {
      fake.acknowledge(model::OperationId(message.acknowledge()));
    } else if (message.has_open_tunnel()) {
      auto& tunnel = tunnels_.emplace_back(std::make_unique<FakeTunnel>(*stub_, message.open_tunnel()));
      if (!message.open_tunnel().operation_id().empty()) {
        uploads_[model::OperationId(message.open_tunnel().operation_id())] = tunnel.get();
      }
    }
  }
  // An upload's import begins with its bytes.
  void take(const model::Assignment& assignment) {
    const auto* import = std::get_if<model::ImportImage>(&assignment.body);
    if (import != nullptr && import->source.kind == model::ImageSourceKind::upload) {
      awaited_.try_emplace(assignment.operation, assignment);
    } else {
      fake.assign(assignment);
    }
  }

  WorkingAgents& all_;
  const model::NodeReport report_;
  const double busy_;  // CPUs of each guest
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<agent::v1::AgentService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  Stream* stream_ = nullptr;
  std::vector<std::unique_ptr<FakeTunnel>> tunnels_;
  std::map<model::OperationId, model::Assignment> awaited_;
  std::map<model::OperationId, FakeTunnel*> uploads_;
  std::thread thread_;
};

WorkingAgents::WorkingAgents(const performance::SimulatedCluster& cluster, int port) {
  const auto shared = std::make_shared<std::set<model::ImageId>>();
  for (std::size_t n = 0; n < cluster.nodes.size(); ++n) {
    auto& agent = agents_.emplace_back(std::make_unique<Agent>(*this, cluster, cluster.nodes[n], n, port));
    agent->fake.shared = shared;
    agent->fake.peer = [this](const model::NodeId& id) -> FakeAgent* {
      const auto found = std::ranges::find_if(agents_, [&](const auto& one) { return one->fake.id == id; });
      return found == agents_.end() ? nullptr : &(*found)->fake;
    };
  }
  for (auto& agent : agents_) agent->start();
  worker_ = std::thread([this] { work(); });
}

WorkingAgents::~WorkingAgents() {
  stopping_ = true;
  worker_.join();
  for (auto& agent : agents_) agent->stop();
}

void WorkingAgents::work() {
  for (std::uint64_t round = 0; !stopping_; ++round) {
    {
      const std::lock_guard lock(mutex_);
      for (auto& agent : agents_) agent->step(round % 40 == 0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace bridgehead::dashboard
