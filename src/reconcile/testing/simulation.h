// Simulation: the real commands and the real reconciler core over an in-memory store, a manual clock and fake agents.
// Whoever drives it decides, step by step, what happens next; nothing happens by itself. Deterministic for a seed.
//
// A stream keeps its order, as gRPC's do; single messages on it can be lost or doubled, streams break at any time with
// all that is on its way, manager and agents can be killed between any two commits or steps.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>

#include "base/testing/manual_clock.h"
#include "reconcile/commands/commands.h"
#include "reconcile/core.h"
#include "reconcile/testing/crash_store.h"
#include "reconcile/testing/fake_agent.h"
#include "state/memory_store.h"

namespace bridgehead::reconcile::testing {

class Simulation final : public AgentPort {
 public:
  Simulation(std::uint64_t seed, std::size_t nodes);
  ~Simulation() override;

  // --- what a driver may let happen ---
  std::size_t choose(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(engine_); }
  bool chance(double probability) { return std::uniform_real_distribution<double>(0, 1)(engine_) < probability; }
  void advance(std::chrono::milliseconds by) { clock.advance(by); }
  void pass();  // one pass of the reconciler with what has arrived
  void deliver_to_agent(FakeAgent& agent, double loss, double doubling);
  void deliver_to_manager(FakeAgent& agent, double loss, double doubling);
  void connect(FakeAgent& agent);
  void disconnect(FakeAgent& agent);
  void hear_agents();  // a heartbeat of each that is connected
  void restart_agent(FakeAgent& agent);
  // Dies at the n-th commit from now (0: right now, before any).
  void kill_manager_after(std::size_t commits) { store_->crash_after(commits); }
  bool manager_dead() const { return store_->crashed(); }
  void start_manager();
  // All streams up, no more faults, until nothing is left to do. False if it doesn't come to rest.
  bool settle();

  // Empty, or what is wrong: operations open, leftovers on nodes, names not freed, leases used twice.
  std::string check() const;

  Commander& commander() { return *commander_; }
  state::Inventory& inventory() { return *inventory_; }
  Caller caller() const { return {.actor = "sim"}; }

  bridgehead::testing::ManualClock clock;
  std::vector<std::unique_ptr<FakeAgent>> agents;
  ReconcileMetrics metrics;
  ProgressBoard progress;
  Options options;

  // AgentPort
  bool connected(const model::NodeId& node) const override;
  bool assign(const model::NodeId& node, const model::Assignment& assignment) override;
  bool cancel(const model::NodeId& node, const model::OperationId& operation) override;
  bool acknowledge(const model::NodeId& node, const model::OperationId& operation) override;

 private:
  using ToAgent = std::function<void(FakeAgent&)>;
  struct Stream {
    bool open = false;
    std::deque<ToAgent> down;
  };
  bool push(const model::NodeId& node, ToAgent message);
  void watch_leases(const state::Commit& commit);
  FakeAgent& agent_of(const model::NodeId& node);

  std::mt19937_64 engine_;
  SeededRandom random_;
  std::unique_ptr<state::StateStore> memory_;
  std::unique_ptr<CrashStore> store_;
  std::unique_ptr<state::StateStore::Watch> lease_watch_;
  std::unique_ptr<state::Inventory> inventory_;
  std::unique_ptr<Commander> commander_;
  std::unique_ptr<Core> core_;
  std::map<model::NodeId, Stream> streams_;
  std::deque<Message> inbox_;
  std::map<std::string, std::uint64_t> leases_;  // by VM id
  std::set<std::uint64_t> leases_seen_;
  std::string lease_fault_;
};

}  // namespace bridgehead::reconcile::testing
