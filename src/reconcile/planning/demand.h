// What guests are expected to take, from what was measured. Not thread-safe; a value of one snapshot's making.
#pragma once

#include <optional>
#include <vector>

#include "model/planning.h"
#include "reconcile/planning/use_history.h"
#include "scheduler/cluster.h"

namespace bridgehead::reconcile {

class Demand {
 public:
  // `use` null: nothing is measured.
  // `node_cpus`: of the largest node.
  Demand(const UseHistory* use, Timestamp now, const model::PlanningPolicy& policy, double node_cpus);

  // Of one guest up to the policy's horizon: its mean over the time that a load must last, or what its history lets
  // expect, whichever is more CPUs. None: it was never measured.
  std::optional<UseHistory::Use> of(const model::VmId& vm);
  // Of all guests that were asked for, in intervals of `step` ahead, by the pattern of their days and weeks; empty
  // while too little is known. `now`: what they take together as it is.
  std::vector<scheduler::Amounts> ahead(const scheduler::Amounts& now, scheduler::Seconds step) const;

 private:
  const UseHistory* use_;
  const Timestamp now_;
  const model::PlanningPolicy& policy_;
  const double node_cpus_;
  // CPUs of all guests, by hour and by step; negative = nothing was measured.
  std::vector<double> all_hours_;
  std::vector<double> all_steps_;
};

}  // namespace bridgehead::reconcile
