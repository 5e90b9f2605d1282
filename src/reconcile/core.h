// Core: the reconciler without its thread. Takes messages, and does one pass when told to; all time and randomness come
// from outside, so that a seeded simulation can drive it. Not thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>
#include <variant>

#include "base/clock.h"
#include "base/random.h"
#include "reconcile/agent_port.h"
#include "reconcile/agents.h"
#include "reconcile/metrics.h"
#include "reconcile/observe.h"
#include "reconcile/options.h"
#include "reconcile/progress_board.h"
#include "reconcile/view.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

struct NodeReported {
  model::NodeId node;
  model::NodeReport report;
};
struct NodeHeard {
  model::NodeId node;
};
struct NodeDisconnected {
  model::NodeId node;
};
struct VmObserved {
  model::NodeId node;
  model::ObservedVm observed;
};
struct VmGone {
  model::NodeId node;
  model::VmId vm;
};
struct AssignmentReported {
  model::NodeId node;
  model::AssignmentReport report;
};
using Message = std::variant<NodeReported, NodeHeard, NodeDisconnected, VmObserved, VmGone, AssignmentReported>;

class Core {
 public:
  Core(state::Inventory& inventory, AgentPort& port, const Clock& clock, RandomSource& random, const Options& options,
       ReconcileMetrics& metrics, ProgressBoard& progress);

  // Takes the messages in, decides, commits, sends. Returns when to come again at the latest.
  Monotonic pass(std::deque<Message> messages);

 private:
  // What is remembered of an open operation between passes, only to do nothing twice in vain.
  struct Known {
    state::Revision revision = 0;
    bool dirty = true;
    bool waiting = false;
    std::optional<Monotonic> look_again;
    Monotonic progress_saved{};
  };
  struct Planned {
    state::Record<model::Operation> operation;
    Decision decision;
  };
  using Thunk = std::function<Changes()>;

  // core_messages.cpp: what comes in
  void take_in(std::deque<Message> messages);
  void take_in(NodeReported& message);
  void take_in(const AssignmentReported& message);
  Changes take_in_vm(const model::NodeId& node, const model::ObservedVm& seen, bool whole_report);
  void note_orphan(const model::NodeId& node, const model::ObservedVm& seen);
  void judge(const model::NodeId& node);
  void watch_nodes();
  void lose_node(const state::Record<model::Node>& node);
  void sweep();
  void observe(Thunk thunk);
  void flush_observations();

  // core.cpp: what goes out
  void work();
  void notice_ends_elsewhere(const std::vector<state::Record<model::Operation>>& open);
  bool round();
  View view_of(const state::Record<model::Operation>& operation, bool first);
  void commit_all(std::vector<Planned>& planned);
  bool commit_one(const Changes& changes);
  void carry_out(const Planned& planned);
  void end(const Planned& planned);
  void mark_all_dirty();
  Monotonic next_pass() const;
  Moment moment() const;

  state::Inventory& inventory_;
  AgentPort& port_;
  const Clock& clock_;
  RandomSource& random_;
  const Options options_;
  ReconcileMetrics& metrics_;
  ProgressBoard& progress_;

  const Monotonic started_;
  Monotonic now_;
  Agents agents_;
  std::unordered_map<model::OperationId, Known> known_;
  std::set<model::OperationId> elsewhere_;                        // open ones that other parts of the manager carry out
  std::map<std::pair<model::NodeId, int>, std::size_t> running_;  // by node and kind of load
  std::optional<scheduler::ClusterSnapshot> cluster_;             // for one round
  std::set<model::NodeId> lost_;                                  // their guests were marked unknown
  std::map<model::NodeId, Timestamp> booted_;
  std::map<model::NodeId, std::map<model::VmId, model::ObservedVm>> orphans_;  // as they were last seen
  std::vector<Thunk> thunks_;     // what was observed and is to be committed together
  std::vector<Thunk> postponed_;  // the store failed; for the next pass
  Changes observed_;
  std::set<std::string> touched_;
  Monotonic next_watch_;
  Monotonic next_sweep_;
  std::optional<Monotonic> retry_at_;  // the store failed
};

}  // namespace bridgehead::reconcile
