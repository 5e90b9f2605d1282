// View: all that a decision about one operation may look at. Decision: what is to be done about it.
// Decisions are pure: the same view gives the same decision (identifiers of new internal operations come from
// `random`).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/random.h"
#include "model/assignment.h"
#include "reconcile/agents.h"
#include "reconcile/changes.h"
#include "reconcile/options.h"
#include "scheduler/scheduler.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

struct View {
  const state::Inventory& inventory;
  const Agents& agents;
  const Options& options;
  RandomSource& random;
  state::Record<model::Operation> record;  // the operation in question
  Timestamp now{};
  Monotonic monotonic{};
  bool first = true;          // of its target's open operations; the others wait for their turn
  bool save_progress = true;  // not too often: progress is kept in the store for after a restart only
  bool settled = true;        // agents have had time to come back since this process began
  std::function<bool(const model::NodeId&)> has_slot;    // may one more operation of this kind run there now?
  std::function<scheduler::ClusterSnapshot&()> cluster;  // built when asked for; placements are charged to it

  const model::Operation& operation() const { return record->value; }
};

struct ToNode {
  model::NodeId node;
  model::OperationId assignment;
};

struct Decision {
  // Committed first; when that fails nothing below happens and the operation is decided again.
  Changes changes;
  struct Send {
    model::NodeId node;
    model::Assignment assignment;
  };
  std::vector<Send> sends;
  std::vector<ToNode> cancels;
  std::vector<ToNode> acknowledgements;
  struct Retry : ToNode {
    Monotonic when;
  };
  std::vector<Retry> retries;
  bool waiting = false;                 // for another operation to end or for a slot
  std::optional<Monotonic> look_again;  // even if nothing happens until then
  std::optional<model::OperationState> ended;
};

}  // namespace bridgehead::reconcile
