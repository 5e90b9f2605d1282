// AutoPlanner: looks now and then what the policy lets be done without asking, and has it done. Whatever the policy
// says, a node that was to be off and has work again is brought back, and one that is being emptied for maintenance
// gets its plan, at each call. At once: repairs, and nodes that are needed; for these a plan of its own that is being
// carried out ends early. Balance and consolidation only when there has been something to do for as long as the policy
// says, look after look, so that it acts on a load that lasts and not on noise. Not thread-safe. In memory is only
// since when there has been something to do; losing it costs time.
#pragma once

#include <map>
#include <optional>

#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

class AutoPlanner {
 public:
  explicit AutoPlanner(Commander& commander) : commander_(commander) {}

  // Called often; plans nothing before the policy's interval is over. Errors are the cluster's that has changed
  // meanwhile, or the store's: the next look tries again.
  Status look();

 private:
  Status apply(PlanScope scope);
  Status make_way(const model::Operation& running);
  Status bring_back();
  Status empty_nodes();
  Status empty(const model::Operation& maintenance);
  Status refill();
  Status note_stuck(const model::OperationId& maintenance, const std::string& why);

  Commander& commander_;
  std::optional<Monotonic> looked_;
  std::optional<Monotonic> wanted_since_;
  std::map<model::OperationId, Monotonic> emptied_;  // when a node of node.maintain was last planned for
};

}  // namespace bridgehead::reconcile
