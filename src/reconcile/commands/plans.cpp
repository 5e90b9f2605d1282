#include "reconcile/commands/plans.h"

#include <algorithm>
#include <set>

#include "model/enum_names.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"
#include "reconcile/planning/snapshot.h"
#include "reconcile/rules.h"

namespace bridgehead::reconcile {
namespace {

void narrow(scheduler::Policy& policy, PlanScope scope) {
  using scheduler::Mode;
  if (scope == PlanScope::shown) return;
  if (scope == PlanScope::refill) {
    policy.repair = Mode::automatic;
    if (policy.balance != Mode::off) policy.balance = Mode::automatic;
    policy.consolidate = policy.power = Mode::off;
    return;
  }
  for (auto* mode : {&policy.repair, &policy.balance, &policy.consolidate, &policy.power}) {
    if (*mode != Mode::automatic) *mode = Mode::off;
  }
  policy.urgent_only = scope == PlanScope::urgent;
  if (scope == PlanScope::repair) policy.balance = policy.consolidate = policy.power = Mode::off;
}

std::string name_of(const model::PlanId& id) { return id.str().substr(0, 8); }

state::Record<model::Plan> stored(const state::Inventory& inventory, const std::string& reference) {
  if (auto record = inventory.find<model::Plan>(model::PlanId(reference))) return record;
  return inventory.find_by_name<model::Plan>(reference);
}

Error unknown_plan(const std::string& reference) {
  return {ErrorCode::not_found, fmt::format("there is no plan '{}'", validate::shown(reference)),
          "Shown plans are kept for a short while only. See what would be done now: bh plan show"};
}

state::Record<model::Operation> running_plan(const state::Inventory& inventory) {
  for (const auto& record : inventory.open_operations()) {
    if (record->value.kind == model::operation_kind::plan_apply) return record;
  }
  return nullptr;
}

PlanBasis basis_of(const Commander& commander, scheduler::Policy policy, const model::PlanningPolicy& wanted) {
  return {.cluster = planning_snapshot({.inventory = commander.inventory,
                                        .use = commander.use,
                                        .limits = commander.limits,
                                        .now = commander.clock.now()},
                                       wanted),
          .policy = policy,
          .now = commander.clock.now(),
          .seed = static_cast<std::uint32_t>(commander.random.next_u64())};
}

Proposal make(const Commander& commander, PlanBasis basis) {
  const auto made = scheduler::plan(basis.cluster, basis.policy, basis.now, basis.seed);
  Proposal proposal{.plan = plan_record(made, basis), .basis = nullptr};
  proposal.plan.id = make_id<model::PlanId>(commander.random);
  proposal.plan.name = name_of(proposal.plan.id);
  proposal.basis = std::make_shared<const PlanBasis>(std::move(basis));
  return proposal;
}

// Writes the plan with its operation and what it was made from.
Accepted<model::Plan> begin(Draft& draft, const Proposal& proposal) {
  auto plan = proposal.plan;
  plan.state = model::PlanState::applying;
  plan.created_by = draft.actor();
  auto operation = draft.operation(model::operation_kind::plan_apply, "plan", plan.id.str(), plan.name, 0);
  draft.edit.create(plan);
  draft.edit.create(model::PlanInput{.id = plan.id, .created = draft.now, .text = encode_basis(*proposal.basis)});
  draft.event("plan.applying", "plan", plan.id.str(), plan.name,
              fmt::format("Plan {} of {} action{} is to be carried out", plan.name, plan.actions.size(),
                          plan.actions.size() == 1 ? "" : "s"));
  draft.add(operation);
  return {.object = std::move(plan), .operation = std::move(operation)};
}

Result<Accepted<model::Plan>> fill_apply(const Commander& commander, Draft& draft, const std::string& reference) {
  if (const auto record = stored(draft.inventory, reference)) {
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("plan {} is {} already", record->value.name, model::to_string(record->value.state)),
        "See what would be done now: bh plan show");
  }
  const auto proposal = commander.desk.find(reference);
  if (!proposal) return fail(unknown_plan(reference));
  if (proposal->plan.actions.empty()) {
    return fail(ErrorCode::failed_precondition, "plan {} has nothing to do", proposal->plan.name);
  }
  if (const auto other = running_plan(draft.inventory)) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("plan {} is being carried out", other->value.target_name),
                          fmt::format("Wait for it, or: bh plan cancel {}", other->value.target_name));
  }
  const auto now = plan_basis(commander, proposal->scope);
  if (const auto changed = what_changed(proposal->plan, *proposal->basis, now); !changed.empty()) {
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("the cluster has changed since plan {} was made: {}", proposal->plan.name, changed),
        "See what would be done now: bh plan show");
  }
  return begin(draft, *proposal);
}

// These nodes take no guests and lose those that they have; the policy doesn't matter.
Proposal evacuation(const Commander& commander, const std::vector<model::NodeId>& nodes) {
  auto wanted = planning_policy(commander.inventory);
  auto policy = to_scheduler(wanted);
  policy.repair = scheduler::Mode::automatic;
  narrow(policy, PlanScope::repair);
  auto basis = basis_of(commander, policy, wanted);
  for (auto& host : basis.cluster.hosts) {
    if (std::find(nodes.begin(), nodes.end(), model::NodeId(host.id)) == nodes.end()) continue;
    host.open = false;
    host.evacuate = true;
    host.why_not = "it is being emptied";
  }
  return make(commander, std::move(basis));
}

std::string why_it_stays(const model::Plan& plan, const scheduler::Guest& guest) {
  for (const auto& conflict : plan.conflicts) {
    if (std::find(conflict.vms.begin(), conflict.vms.end(), guest.name) != conflict.vms.end()) return conflict.reason;
  }
  return fmt::format("{}: {}", guest.name, guest.may_move ? "no other node has room for it" : guest.why_not);
}

Result<Drained> fill_drain(Commander& commander, Draft& draft, const std::string& reference) {
  const auto record = resolve<model::Node>(draft.inventory, reference);
  if (!record) return forward(record);
  auto node = (*record)->value;
  Drained drained;
  if (!node.draining || node.schedulable) {
    node.draining = true;
    node.schedulable = false;
    draft.edit.update(*record, node);
    draft.event("node.draining", "node", node.id.str(), node.name,
                fmt::format("Node '{}' takes no more guests and is to be emptied", node.name));
  }
  drained.node = node;
  const auto vms = draft.inventory.vms_on_node(node.id);
  if (std::none_of(vms.begin(), vms.end(),
                   [](const auto& vm) { return vm->value.spec.power != model::PowerState::stopped; })) {
    return drained;
  }
  const auto proposal = evacuation(commander, {node.id});
  drained.plan = proposal.plan;
  if (proposal.plan.actions.empty()) return drained;
  // One that runs is asked to end; this one's turn comes then.
  if (const auto other = running_plan(draft.inventory); other && !other->value.cancel_requested) {
    auto operation = other->value;
    operation.cancel_requested = true;
    draft.edit.update(other, operation);
  }
  auto accepted = begin(draft, proposal);
  drained.plan = std::move(accepted.object);
  drained.operation = std::move(accepted.operation);
  return drained;
}

}  // namespace

PlanBasis plan_basis(const Commander& commander, PlanScope scope) {
  const auto wanted = planning_policy(commander.inventory);
  auto policy = to_scheduler(wanted);
  narrow(policy, scope);
  auto basis = basis_of(commander, policy, wanted);
  if (scope == PlanScope::refill) {  // the moves of the rollout are no unrest that guests should be spared
    for (auto& guest : basis.cluster.guests) guest.moves_of_a_day = 0;
  }
  return basis;
}

Proposal propose_plan(Commander& commander, PlanScope scope) {
  auto proposal = make(commander, plan_basis(commander, scope));
  proposal.scope = scope;
  if (scope == PlanScope::shown) commander.desk.put(proposal);
  return proposal;
}

Result<Accepted<model::Plan>> apply_plan(Commander& commander, const Caller& caller, const std::string& plan) {
  return run_operation<model::Plan>(commander, caller,
                                    [&](Draft& draft) { return fill_apply(commander, draft, plan); });
}

Result<model::Operation> cancel_plan(Commander& commander, const Caller& caller, const std::string& plan) {
  const auto record = stored(commander.inventory, plan);
  if (!record) return fail(unknown_plan(plan));
  for (const auto& operation : commander.inventory.operations_of(record->value.id.str())) {
    if (!operation->value.terminal()) return cancel_operation(commander, caller, operation->value.id.str());
  }
  return fail(ErrorCode::failed_precondition, "plan {} is {} already", record->value.name,
              model::to_string(record->value.state));
}

Result<model::Plan> find_plan(const Commander& commander, const std::string& plan) {
  if (const auto record = stored(commander.inventory, plan)) return record->value;
  if (auto proposal = commander.desk.find(plan)) return std::move(proposal->plan);
  return fail(unknown_plan(plan));
}

Result<PlanBasis> find_basis(const Commander& commander, const std::string& plan) {
  const auto record = stored(commander.inventory, plan);
  if (!record) {
    if (const auto proposal = commander.desk.find(plan)) return *proposal->basis;
    return fail(unknown_plan(plan));
  }
  const auto input = commander.inventory.find<model::PlanInput>(record->value.id);
  if (!input) {
    return fail(ErrorCode::not_found, "what plan {} was made from isn't kept any more", record->value.name);
  }
  return decode_basis(input->value.text);
}

Result<Replay> replay_plan(const Commander& commander, const std::string& reference) {
  const auto plan = find_plan(commander, reference);
  if (!plan) return forward(plan);
  const auto basis = find_basis(commander, reference);
  if (!basis) return forward(basis);
  Replay replay{.plan = plan_record(scheduler::plan(basis->cluster, basis->policy, basis->now, basis->seed), *basis)};
  replay.plan.id = plan->id;
  replay.plan.name = plan->name;
  const auto& then = plan->actions;
  const auto& now = replay.plan.actions;
  replay.same = std::equal(then.begin(), then.end(), now.begin(), now.end(), [](const auto& a, const auto& b) {
    return a.kind == b.kind && a.vm == b.vm && a.from == b.from && a.to == b.to && a.after == b.after;
  });
  return replay;
}

Result<Drained> drain_node(Commander& commander, const Caller& caller, const std::string& node) {
  return run<Drained>(commander, caller, [&](Draft& draft) { return fill_drain(commander, draft, node); });
}

Evacuation plan_evacuation(const Commander& commander, const std::vector<model::NodeId>& nodes) {
  auto proposal = evacuation(commander, nodes);
  const auto is_emptied = [&](const model::NodeId& node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  };
  const auto& cluster = proposal.basis->cluster;
  std::set<std::string> leave;
  for (const auto& action : proposal.plan.actions) {
    if (action.kind == model::PlanActionKind::move && !is_emptied(action.to)) leave.insert(action.vm.str());
  }
  for (const auto& move : cluster.moves) leave.insert(cluster.guests[move.guest].id);
  Evacuation result;
  for (const auto& guest : cluster.guests) {
    if (!is_emptied(model::NodeId(cluster.hosts[guest.host].id)) || leave.contains(guest.id)) continue;
    result.stay.push_back(why_it_stays(proposal.plan, guest));
  }
  // One conflict may be about several guests.
  std::sort(result.stay.begin(), result.stay.end());
  result.stay.erase(std::unique(result.stay.begin(), result.stay.end()), result.stay.end());
  result.plan = std::move(proposal.plan);
  return result;
}

Result<model::Node> undrain_node(Commander& commander, const Caller& caller, const std::string& reference) {
  return run<model::Node>(commander, caller, [&](Draft& draft) -> Result<model::Node> {
    const auto record = resolve<model::Node>(draft.inventory, reference);
    if (!record) return forward(record);
    auto node = (*record)->value;
    node.draining = false;
    node.schedulable = true;
    if (node == (*record)->value) return node;
    draft.edit.update(*record, node);
    draft.event("node.updated", "node", node.id.str(), node.name,
                fmt::format("Node '{}' is open for guests again", node.name));
    return node;
  });
}

Status trim_plans(state::Inventory& inventory) {
  constexpr std::size_t kPlans = 200;
  constexpr std::size_t kInputs = 20;
  constexpr std::size_t kInputBytes = 64UL * 1024 * 1024;
  auto plans = inventory.all<model::Plan>();
  auto inputs = inventory.all<model::PlanInput>();
  const auto newest_first = [](const auto& a, const auto& b) { return a->value.created > b->value.created; };
  std::sort(plans.begin(), plans.end(), newest_first);
  std::sort(inputs.begin(), inputs.end(), newest_first);
  auto edit = inventory.edit();
  bool any = false;
  for (std::size_t i = kPlans; i < plans.size(); ++i) {
    if (plans[i]->value.state == model::PlanState::applying) continue;
    edit.remove(plans[i]);
    any = true;
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    bytes += inputs[i]->value.text.size();
    if (i == 0 || (i < kInputs && bytes <= kInputBytes)) continue;
    edit.remove(inputs[i]);
    any = true;
  }
  if (!any) return {};
  const auto committed = inventory.commit(std::move(edit));
  return committed ? Status{} : forward(committed);
}

}  // namespace bridgehead::reconcile
