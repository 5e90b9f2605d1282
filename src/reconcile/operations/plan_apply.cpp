// plan.apply: carries a plan's actions out by the operations that there are for them. Its target is the plan, whose
// record says how far each action is; record and operations change in one transaction, so a manager that is killed goes
// on where it was.
//
// An action begins when those that it comes after are done, its nodes have a move to spare, and it still can be done.
// When one can't any more, or fails, the world isn't as the plan took it to be: what is under way ends, nothing else
// begins, and the plan ends as superseded or failed. The same when it is cancelled.
#include <algorithm>
#include <map>

#include "model/enum_names.h"
#include "model/json.h"
#include "reconcile/commands/migration.h"
#include "reconcile/operations/records.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile::operations {
namespace plan_apply_steps {
namespace {

using model::PlanAction;
using model::PlanActionKind;
using model::PlanActionState;
using model::PlanState;

state::Record<model::Plan> plan_of(const View& view) {
  return view.inventory.find<model::Plan>(model::PlanId(view.operation().target));
}

// Oldest first: two plans are never carried out at once.
bool has_its_turn(const View& view) {
  for (const auto& open : view.inventory.open_operations()) {
    if (open->value.kind == model::operation_kind::plan_apply) return open->value.id == view.operation().id;
  }
  return true;
}

Start start(const View& view, Changes& changes, model::Operation&) {
  const auto record = plan_of(view);
  if (!record) return end_with({ErrorCode::not_found, "the plan's record is gone", {}});
  if (!has_its_turn(view)) {
    return wait_for("waiting for another plan to end", view.monotonic + view.options.sweep);
  }
  auto plan = record->value;
  plan.started = view.now;
  changes.update(record, plan);
  return begin();
}

std::string what(const PlanAction& action) {
  switch (action.kind) {
    case PlanActionKind::move:
    case PlanActionKind::place: return fmt::format("moving '{}' to '{}'", action.vm_name, action.to_name);
    case PlanActionKind::wake: return fmt::format("waking '{}'", action.to_name);
    case PlanActionKind::sleep: return fmt::format("switching '{}' off", action.to_name);
  }
  return {};
}

// One pass over a plan.
class Work {
 public:
  Work(const View& view, Changes& changes, model::Plan& plan) : view_(view), changes_(changes), plan_(plan) {
    for (const auto& open : view.inventory.open_operations()) {
      const auto& operation = open->value;
      if (operation.target_kind == "vm") busy_.insert(operation.target);
      if (operation.kind != model::operation_kind::vm_migrate) continue;
      ++moves_[parameter<std::string>(operation, "from", {})];
      ++moves_[parameter<std::string>(operation, "to", {})];
    }
  }

  void follow() {
    for (auto& action : plan_.actions) {
      if (action.state != PlanActionState::running) continue;
      if (action.kind == PlanActionKind::move) follow_move(action);
      if (action.kind == PlanActionKind::wake) follow_wake(action);
      if (action.kind == PlanActionKind::sleep) follow_sleep(action);
    }
  }

  void begin_more() {
    for (auto& action : plan_.actions) {
      if (stopping() || action.state != PlanActionState::waiting || !may_begin(action)) continue;
      switch (action.kind) {
        case PlanActionKind::move: begin_move(action); break;
        case PlanActionKind::wake: set_power(action, false); break;
        case PlanActionKind::sleep: set_power(action, true); break;
        case PlanActionKind::place: give_up(action, "a guest is placed when it is made"); break;
      }
    }
  }

  bool stopping() const { return !plan_.message.empty() || view_.operation().cancel_requested; }
  bool any(PlanActionState state) const {
    return std::any_of(plan_.actions.begin(), plan_.actions.end(), [&](const auto& a) { return a.state == state; });
  }

 private:
  bool may_begin(const PlanAction& action) const {
    return std::all_of(action.after.begin(), action.after.end(), [&](std::uint32_t index) {
      return index < plan_.actions.size() && plan_.actions[index].state == PlanActionState::done;
    });
  }

  // The world isn't as the plan takes it to be.
  void give_up(PlanAction& action, const std::string& why) {
    action.state = PlanActionState::dropped;
    action.message = why;
    plan_.message = fmt::format("{}: {}", what(action), why);
  }

  void follow_move(PlanAction& action) {
    const auto operation = view_.inventory.find<model::Operation>(action.operation);
    if (operation && !operation->value.terminal()) return;
    // Its record may be trimmed already.
    const auto vm = view_.inventory.find<model::Vm>(action.vm);
    if (operation ? operation->value.state == model::OperationState::succeeded : vm && vm->value.node == action.to) {
      action.state = PlanActionState::done;
      return;
    }
    fail(action, operation && operation->value.error ? operation->value.error->message : "it didn't get there");
  }

  void fail(PlanAction& action, const std::string& why) {
    action.state = PlanActionState::failed;
    action.message = why;
    if (plan_.message.empty()) plan_.message = fmt::format("{} failed: {}", what(action), why);
  }

  // Of an action whose operation has ended, or that has none: why it failed, "" = it did not.
  static std::string failure_of(const state::Record<model::Operation>& operation) {
    if (!operation || operation->value.state == model::OperationState::succeeded) return {};
    return operation->value.error ? operation->value.error->message : "it was cancelled";
  }

  void follow_wake(PlanAction& action) {
    const auto node = view_.inventory.find<model::Node>(action.to);
    if (!node) return give_up(action, "the node is gone");
    const auto operation = view_.inventory.find<model::Operation>(action.operation);
    if (operation && !operation->value.terminal()) return;
    if (const auto why = failure_of(operation); !why.empty()) return fail(action, why);
    if (node->value.state == model::NodeState::ready) {
      action.state = PlanActionState::done;
    } else if (view_.now - node->value.power_since > kLongestWake) {
      fail(action, fmt::format("it isn't ready after {} min: {}", kLongestWake.count(), node->value.message));
    } else if (stopping()) {
      action.state = PlanActionState::dropped;  // it comes all the same; nothing else of this plan does
      action.message = "it is on, and wasn't waited for";
    }
  }

  void follow_sleep(PlanAction& action) {
    const auto operation = view_.inventory.find<model::Operation>(action.operation);
    if (operation && !operation->value.terminal()) return;
    const auto why = failure_of(operation);
    if (why.empty()) {
      action.state = PlanActionState::done;
      return;
    }
    // Its mark goes: nobody may take a machine for off that perhaps isn't.
    if (const auto node = view_.inventory.find<model::Node>(action.to); node && node->value.to_be_off) {
      auto stays = node->value;
      stays.to_be_off = false;
      stays.power_since = view_.now;
      changes_.update(node, stays);
    }
    fail(action, why);
  }

  void begin_move(PlanAction& action) {
    const auto record = view_.inventory.find<model::Vm>(action.vm);
    if (!record) return give_up(action, "it was deleted");
    const auto& vm = record->value;
    if (vm.node == action.to) {
      action.state = PlanActionState::done;
      return;
    }
    if (vm.node != action.from) {
      return give_up(action, fmt::format("it is on node '{}' now", node_name(view_, vm.node)));
    }
    if (busy_.contains(vm.id.str())) return;  // its turn comes when that has ended
    if (moves_[action.from.str()] >= plan_.moves_per_node || moves_[action.to.str()] >= plan_.moves_per_node) return;
    const auto checks =
        check_migration(view_.inventory, view_.options.limits, action.vm.str(), {.to = action.to.str(), .pool = {}});
    if (!checks) return give_up(action, checks.error().message);
    for (const auto& check : checks->front().checks) {
      if (!check.passed) return give_up(action, check.message);
    }
    // That was no part of what the plan weighed.
    if (!checks->front().copies.empty()) return give_up(action, "its disks would have to go along");
    auto move = internal_operation(view_.random, view_.now, model::operation_kind::vm_migrate, "vm", vm.id.str(),
                                   vm.name, vm.generation);
    move.created_by = view_.operation().created_by;
    move.parameters["from"] = action.from.str();
    move.parameters["to"] = action.to.str();
    move.parameters["plan"] = plan_.id.str();
    action.state = PlanActionState::running;
    action.operation = move.id;
    ++moves_[action.from.str()];
    ++moves_[action.to.str()];
    changes_.create_with_token(std::move(move));
  }

  void set_power(PlanAction& action, bool off) {
    const auto record = view_.inventory.find<model::Node>(action.to);
    if (!record) return give_up(action, "the node is gone");
    const auto& node = record->value;
    if (off) {
      const auto vms = view_.inventory.vms_on_node(node.id);
      const auto runs = std::find_if(vms.begin(), vms.end(),
                                     [](const auto& vm) { return vm->value.spec.power != model::PowerState::stopped; });
      if (runs != vms.end()) return give_up(action, fmt::format("'{}' is there again", (*runs)->value.name));
      if (moves_[node.id.str()] != 0) return give_up(action, "a guest is on its way there");
    }
    action.operation =
        set_wanted({view_.inventory, view_.random, view_.now}, record, !off, view_.operation().created_by, changes_);
    // Waking ends when the node is ready.
    const bool done = action.operation.empty() && (off || node.state == model::NodeState::ready);
    action.state = done ? PlanActionState::done : PlanActionState::running;
  }

  const View& view_;
  Changes& changes_;
  model::Plan& plan_;
  std::set<std::string> busy_;
  std::map<std::string, std::uint32_t> moves_;  // by node
};

std::optional<Ended> end(const View& view, Changes& changes, model::Plan& plan) {
  const bool cancelled = view.operation().cancel_requested;
  const bool failed = std::any_of(plan.actions.begin(), plan.actions.end(),
                                  [](const auto& action) { return action.state == PlanActionState::failed; });
  const bool left = std::any_of(plan.actions.begin(), plan.actions.end(), [](const auto& action) {
    return action.state == PlanActionState::waiting || action.state == PlanActionState::dropped;
  });
  for (auto& action : plan.actions) {
    if (action.state == PlanActionState::waiting) action.state = PlanActionState::dropped;
  }
  plan.state = failed      ? PlanState::failed
               : !left     ? PlanState::applied
               : cancelled ? PlanState::cancelled
                           : PlanState::superseded;
  plan.finished = view.now;
  changes.event(fmt::format("plan.{}", model::to_string(plan.state)), "plan", plan.id.str(), plan.name,
                fmt::format("Plan {} is {}{}{}", plan.name, model::to_string(plan.state),
                            plan.message.empty() ? "" : ": ", plan.message),
                view.operation().created_by);
  switch (plan.state) {
    case PlanState::applied: return Ended{};
    case PlanState::cancelled: return Ended{Error{ErrorCode::cancelled, "cancelled before it was done", {}}};
    default:
      return Ended{Error{ErrorCode::failed_precondition, plan.message, "See what would be done now: bh plan show"}};
  }
}

std::optional<Ended> work(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = plan_of(view);
  if (!record) return Ended{Error{ErrorCode::not_found, "the plan's record is gone", {}}};
  auto plan = record->value;
  Work step(view, changes, plan);
  step.follow();
  step.begin_more();
  std::optional<Ended> ended;
  if (!step.any(PlanActionState::running) && (step.stopping() || !step.any(PlanActionState::waiting))) {
    ended = end(view, changes, plan);
  }
  if (plan != record->value) changes.update(record, plan);
  const auto done = std::count_if(plan.actions.begin(), plan.actions.end(),
                                  [](const auto& action) { return action.state == PlanActionState::done; });
  operation.progress = {.phase = {}, .done = static_cast<std::uint64_t>(done), .total = plan.actions.size()};
  for (const auto& action : plan.actions) {
    if (action.state != PlanActionState::running) continue;
    operation.progress.phase = what(action);
    break;
  }
  return ended;
}

void withdraw(const View& view, Changes& changes, model::Operation&) {
  const auto record = plan_of(view);
  if (!record) return;
  auto plan = record->value;
  end(view, changes, plan);
  changes.update(record, plan);
}

}  // namespace
}  // namespace plan_apply_steps

const Logic plan_apply{.kind = model::operation_kind::plan_apply,
                       .load = Load::none,
                       .start = plan_apply_steps::start,
                       .work = plan_apply_steps::work,
                       .withdraw = plan_apply_steps::withdraw};

}  // namespace bridgehead::reconcile::operations
