// The cluster as the planner sees it, made from the inventory, what was measured, rules and open operations. Pure
// reads, in the order of ids: the same state gives the same value.
#pragma once

#include "reconcile/planning/use_history.h"
#include "scheduler/cluster.h"
#include "scheduler/policy.h"
#include "scheduler/scheduler.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

// Of a guest that was never measured: the part of its virtual CPUs that it is taken to use.
inline constexpr double kUnmeasuredCpuUse = 0.3;

inline double& amount(scheduler::Amounts& amounts, scheduler::Resource resource) {
  return amounts[static_cast<std::size_t>(resource)];
}

struct SnapshotSource {
  const state::Inventory& inventory;
  const UseHistory* use = nullptr;  // null: nothing is measured
  const scheduler::Limits& limits;
  Timestamp now{};
};

// Guests that are meant to run, and that a node has. What can't be moved, and why, is in each guest.
scheduler::Cluster planning_snapshot(const SnapshotSource& source, const model::PlanningPolicy& policy);

scheduler::Policy to_scheduler(const model::PlanningPolicy& policy);

}  // namespace bridgehead::reconcile
