// Reconciler: closes the difference between what users want and what nodes report. One thread; woken by commits, agents
// and timers. Everything it needs after a restart is in the store or comes from the agents again.
//
// Thread-safe: AgentEvents may be called from any thread and only queue. Errors never leave it: they end in an
// operation, in a record's message or in the log.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "reconcile/agent_port.h"
#include "reconcile/metrics.h"
#include "reconcile/options.h"
#include "reconcile/planning/use_history.h"
#include "reconcile/progress_board.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

class Reconciler final : public AgentEvents {
 public:
  Reconciler(state::Inventory& inventory, AgentPort& agents, const Clock& clock, RandomSource& random,
             Options options = {});
  ~Reconciler() override;  // stop()

  // Begins to work; until then what agents report is only queued.
  void start();
  // Finishes the pass that runs and joins. Idempotent.
  void stop();

  const ReconcileMetrics& metrics() const;
  ProgressBoard& progress();
  const UseHistory& use() const;

  void on_report(const model::NodeId& node, model::NodeReport report) override;
  void on_heartbeat(const model::NodeId& node, const model::NodeLoad& load) override;
  void on_use(const model::NodeId& node, const model::NodeUse& use) override;
  void on_observed_vm(const model::NodeId& node, const model::ObservedVm& observed) override;
  void on_vm_gone(const model::NodeId& node, const model::VmId& vm) override;
  void on_assignment_report(const model::NodeId& node, const model::AssignmentReport& report) override;
  void on_disconnected(const model::NodeId& node) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::reconcile
