#include "reconcile/planning/auto_planner.h"

#include <algorithm>

#include "reconcile/commands/plans.h"
#include "reconcile/operations/maintenance_state.h"
#include "reconcile/operations/records.h"
#include "reconcile/operations/rollout_state.h"
#include "reconcile/rules.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

const Caller kPlanner{.actor = "planner"};
// Between two plans for a node that is to be empty.
constexpr std::chrono::seconds kEmptyAgain{10};

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

// Guests of it are on their way, or will be: a plan that takes them away has begun or waits for its turn.
bool is_being_emptied(const state::Inventory& inventory, const model::NodeId& node) {
  const auto open = inventory.open_operations();
  return std::any_of(open.begin(), open.end(), [&](const auto& record) {
    const auto& operation = record->value;
    if (operation.kind == model::operation_kind::vm_migrate) {
      return operations::parameter<std::string>(operation, "from", {}) == node.str();
    }
    if (operation.kind != model::operation_kind::plan_apply || operation.cancel_requested) return false;
    const auto plan = inventory.find<model::Plan>(model::PlanId(operation.target));
    return plan && std::any_of(plan->value.actions.begin(), plan->value.actions.end(),
                               [&](const auto& action) { return action.from == node; });
  });
}

}  // namespace

Status AutoPlanner::look() {
  if (auto back = bring_back(); !back) return back;
  if (auto emptied = empty_nodes(); !emptied) return emptied;
  if (auto refilled = refill(); !refilled) return refilled;
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

Status AutoPlanner::empty_nodes() {
  Status outcome;
  std::map<model::OperationId, Monotonic> open;
  for (const auto& record : commander_.inventory.open_operations()) {
    const auto& operation = record->value;
    if (!operations::is_draining(operation) || operation.state != model::OperationState::running) continue;
    const auto before = emptied_.find(operation.id);
    const auto now = commander_.clock.monotonic();
    if (before != emptied_.end() && now - before->second < kEmptyAgain) {
      open.insert(*before);
      continue;
    }
    if (operation.cancel_requested) continue;
    open[operation.id] = now;
    if (auto emptied = empty(operation); !emptied && outcome) outcome = emptied;
  }
  emptied_ = std::move(open);
  return outcome;
}

Status AutoPlanner::empty(const model::Operation& maintenance) {
  const model::NodeId node(maintenance.target);
  const auto& inventory = commander_.inventory;
  const auto record = inventory.find<model::Node>(node);
  if (!record || !record->value.draining || is_being_emptied(inventory, node)) return {};
  const auto vms = inventory.vms_on_node(node);
  if (std::none_of(vms.begin(), vms.end(),
                   [](const auto& vm) { return vm->value.spec.power != model::PowerState::stopped; })) {
    return {};
  }
  const auto drained = drain_node(commander_, kPlanner, node.str());
  if (!drained) return forward(drained);
  if (drained->operation) return note_stuck(maintenance.id, {});
  const auto stay = plan_evacuation(commander_, {node}).stay;
  return stay.empty() ? Status{} : note_stuck(maintenance.id, fmt::format("{}", fmt::join(stay, "; ")));
}

// What a rollout has moved away may come back, once: whoever asked for the rollout has asked for this.
Status AutoPlanner::refill() {
  for (const auto& open : commander_.inventory.open_operations()) {
    if (open->value.kind != model::operation_kind::node_image_rollout) continue;
    auto state = operations::rollout_of(open->value);
    if (state.refill != operations::kRefillWanted || running_plan(commander_.inventory)) continue;
    const auto proposal = propose_plan(commander_, PlanScope::refill);
    if (!proposal.plan.actions.empty()) {
      commander_.desk.put(proposal);
      const auto accepted = apply_plan(commander_, kPlanner, proposal.plan.id.str());
      if (!accepted) return forward(accepted);
    }
    state.refill = proposal.plan.actions.empty() ? "nothing" : proposal.plan.name;
    auto operation = open->value;
    operations::put_rollout(operation, state);
    auto edit = commander_.inventory.edit();
    edit.update(open, operation);
    const auto noted = commander_.inventory.commit(std::move(edit));
    if (!noted) return forward(noted);
  }
  return {};
}

Status AutoPlanner::note_stuck(const model::OperationId& maintenance, const std::string& why) {
  const auto changed = state::change(commander_.inventory, [&](state::Edit& edit) -> Status {
    const auto record = commander_.inventory.find<model::Operation>(maintenance);
    if (!record || !operations::is_draining(record->value)) return {};
    auto state = operations::maintenance_of(record->value);
    if (state.stuck == why) return {};
    if (state.stuck.empty() || why.empty()) state.stuck_since = why.empty() ? Timestamp{} : commander_.clock.now();
    state.stuck = why;
    auto operation = record->value;
    operations::put_maintenance(operation, state);
    edit.update(record, operation);
    return {};
  });
  return changed ? Status{} : forward(changed);
}

}  // namespace bridgehead::reconcile
