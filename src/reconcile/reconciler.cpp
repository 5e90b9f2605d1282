#include "reconcile/reconciler.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "reconcile/core.h"

namespace bridgehead::reconcile {

struct Reconciler::State {
  State(state::Inventory& inventory_in, AgentPort& agents, const Clock& clock_in, RandomSource& random,
        const Options& options_in)
      : inventory(inventory_in),
        clock(clock_in),
        options(options_in),
        core(inventory_in, agents, clock_in, random, options_in, metrics, progress) {}

  void post(Message message) {
    {
      const std::lock_guard lock(mutex);
      inbox.push_back(std::move(message));
    }
    wake_up.notify_one();
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      woken = false;
      auto messages = std::exchange(inbox, {});
      // Heartbeats alone wake nobody; they ride along with the next pass.
      for (const auto& node : heartbeats) messages.push_front(NodeHeard{node});
      heartbeats.clear();
      lock.unlock();
      const auto next = core.pass(std::move(messages));
      lock.lock();
      const auto pause = next - clock.monotonic();
      if (pause > Monotonic::duration::zero()) {
        wake_up.wait_for(lock, pause, [this] { return stopping || woken || !inbox.empty(); });
      }
    }
  }

  state::Inventory& inventory;
  const Clock& clock;
  const Options options;
  ReconcileMetrics metrics;
  ProgressBoard progress;
  UseHistory use;

  std::mutex mutex;  // guards all below up to core
  std::condition_variable wake_up;
  std::deque<Message> inbox;
  std::set<model::NodeId> heartbeats;
  bool woken = true;
  bool stopping = false;

  Core core;  // the thread's alone
  std::unique_ptr<state::StateStore::Watch> watch;
  std::thread thread;
};

Reconciler::Reconciler(state::Inventory& inventory, AgentPort& agents, const Clock& clock, RandomSource& random,
                       Options options)
    : state_(std::make_unique<State>(inventory, agents, clock, random, options)) {}

Reconciler::~Reconciler() { stop(); }

void Reconciler::start() {
  if (state_->thread.joinable()) return;
  state_->watch = state_->inventory.listen([this](state::Revision, const std::vector<model::Event>&) {
    {
      const std::lock_guard lock(state_->mutex);
      state_->woken = true;
    }
    state_->wake_up.notify_one();
  });
  state_->thread = std::thread([this] { state_->run(); });
}

void Reconciler::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake_up.notify_one();
  if (state_->thread.joinable()) state_->thread.join();
  state_->watch.reset();
}

const ReconcileMetrics& Reconciler::metrics() const { return state_->metrics; }
ProgressBoard& Reconciler::progress() { return state_->progress; }
const UseHistory& Reconciler::use() const { return state_->use; }

void Reconciler::on_report(const model::NodeId& node, model::NodeReport report) {
  state_->post(NodeReported{node, std::move(report)});
}

void Reconciler::on_heartbeat(const model::NodeId& node, const model::NodeLoad& load) {
  state_->inventory.note_node_load(node, load);
  const std::lock_guard lock(state_->mutex);
  state_->heartbeats.insert(node);
}

// Only of guests that are there by the records: an agent can't fill the memory with others.
void Reconciler::on_use(const model::NodeId& node, const model::NodeUse& use) {
  auto known = use;
  std::erase_if(known.guests, [&](const auto& guest) {
    const auto vm = state_->inventory.find<model::Vm>(guest.vm);
    return !vm || vm->value.node != node;
  });
  const auto record = state_->inventory.find<model::Node>(node);
  const auto taken = record && record->value.facts.memory > record->value.load.memory_available
                         ? record->value.facts.memory - record->value.load.memory_available
                         : Bytes();
  state_->use.note(node, known, taken, state_->clock.now());
}

void Reconciler::on_observed_vm(const model::NodeId& node, const model::ObservedVm& observed) {
  state_->post(VmObserved{node, observed});
}

void Reconciler::on_vm_gone(const model::NodeId& node, const model::VmId& vm) { state_->post(VmGone{node, vm}); }

void Reconciler::on_assignment_report(const model::NodeId& node, const model::AssignmentReport& report) {
  state_->post(AssignmentReported{node, report});
}

void Reconciler::on_disconnected(const model::NodeId& node) { state_->post(NodeDisconnected{node}); }

}  // namespace bridgehead::reconcile
