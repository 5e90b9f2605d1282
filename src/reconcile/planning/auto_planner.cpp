#include "reconcile/planning/auto_planner.h"

#include <algorithm>

#include "reconcile/commands/plans.h"
#include "reconcile/rules.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

const Caller kPlanner{.actor = "planner"};

state::Record<model::Operation> running_plan(const state::Inventory& inventory) {
  for (const auto& record : inventory.open_operations()) {
    if (record->value.kind == model::operation_kind::plan_apply) return record;
  }
  return nullptr;
}

bool wakes(const model::Plan& plan, const model::NodeId& node) {
  return std::any_of(plan.actions.begin(), plan.actions.end(), [&](const auto& action) {
    return action.kind == model::PlanActionKind::wake && action.to == node;
  });
}

}  // namespace

Status AutoPlanner::look() {
  if (auto back = bring_back(); !back) return back;
  const auto now = commander_.clock.monotonic();
  const auto policy = planning_policy(commander_.inventory);
  if (looked_ && now - *looked_ < policy.interval) return {};
  looked_ = now;
  using enum model::PlanMode;
  if (const auto running = running_plan(commander_.inventory)) {
    return policy.power == automatic ? make_way(running->value) : Status{};
  }
  if (auto applied = apply(PlanScope::urgent); !applied || running_plan(commander_.inventory)) return applied;
  if (policy.balance != automatic && policy.consolidate != automatic && policy.power != automatic) {
    wanted_since_.reset();
    return {};
  }
  return apply(PlanScope::automatic);
}

// Moves of a plan can go on for an hour; a node that is needed meanwhile isn't woken that late. What is under way ends,
// and the next look plans anew. A person's plan is left alone.
Status AutoPlanner::make_way(const model::Operation& running) {
  const auto plan = commander_.inventory.find<model::Plan>(model::PlanId(running.target));
  if (!plan || plan->value.created_by != kPlanner.actor || running.cancel_requested) return {};
  const auto proposal = propose_plan(commander_, PlanScope::urgent);
  const auto& actions = proposal.plan.actions;
  const bool needed = std::any_of(actions.begin(), actions.end(), [&](const auto& action) {
    return action.kind == model::PlanActionKind::wake && !wakes(plan->value, action.to);
  });
  if (!needed) return {};
  const auto cancelled = cancel_plan(commander_, kPlanner, plan->value.name);
  return cancelled ? Status{} : forward(cancelled);
}

Status AutoPlanner::apply(PlanScope scope) {
  const auto proposal = propose_plan(commander_, scope);
  const bool urgent = scope == PlanScope::urgent;
  if (proposal.plan.actions.empty()) {
    if (!urgent) wanted_since_.reset();
    return {};
  }
  const auto now = commander_.clock.monotonic();
  if (!urgent) {
    if (!wanted_since_) wanted_since_ = now;
    if (now - *wanted_since_ < planning_policy(commander_.inventory).sustained) return {};
  }
  wanted_since_.reset();
  commander_.desk.put(proposal);
  const auto accepted = apply_plan(commander_, kPlanner, proposal.plan.id.str());
  return accepted ? Status{} : forward(accepted);
}

Status AutoPlanner::bring_back() {
  if (needed_again(commander_.inventory).empty()) return {};
  const auto changed = state::change(commander_.inventory, [&](state::Edit& edit) -> Status {
    Changes changes;
    const Moment moment{commander_.inventory, commander_.random, commander_.clock.now()};
    for (const auto& node : needed_again(commander_.inventory)) {
      set_wanted(moment, node, true, kPlanner.actor, changes);
    }
    changes.apply(edit);
    return {};
  });
  return changed ? Status{} : forward(changed);
}

}  // namespace bridgehead::reconcile
