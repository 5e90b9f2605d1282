// node.maintain: empties a node, has its machine switched off, or off and on, waits until it is well again, and opens
// it. The planner moves its guests (AutoPlanner::empty_nodes), the power desk switches; this follows what they have
// done, and its own parameters say how far it is, so a manager that is killed goes on where it was.
//
// Until the node is empty it can be cancelled. A node image by which the machine doesn't become well is taken back: it
// boots the one before, and the operation fails with the reason. A machine that doesn't come back stays closed.
#include <algorithm>

#include "model/enum_names.h"
#include "reconcile/commands/power.h"
#include "reconcile/operations/maintenance_state.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace node_maintain_steps {
namespace {

using model::AfterDrain;
using Stage = MaintenanceStage;

// So long the planner may find no place for a guest, then the node is opened again.
constexpr std::chrono::minutes kDrainPatience{5};
constexpr std::uint64_t kSteps = 3;

state::Record<model::Node> node_of(const View& view) {
  return view.inventory.find<model::Node>(model::NodeId(view.operation().target));
}

Error gone() { return {ErrorCode::not_found, "the node was taken out of the cluster", {}}; }

std::string plural(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

Start start(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = node_of(view);
  if (!record) return end_with(gone());
  auto state = maintenance_of(operation);
  auto node = record->value;
  state.opens = node.schedulable;
  state.kvm = node.facts.virtualization == model::Virtualization::kvm;
  state.pools = ready_pools(view, node.id);
  put_maintenance(operation, state);
  node.schedulable = false;
  node.draining = true;
  if (node != record->value) {
    changes.update(record, node);
    changes.event(
        "node.draining", "node", node.id.str(), node.name,
        fmt::format("Node '{}' takes no more guests and is to be emptied, to {}", node.name, purpose_of(state)),
        operation.created_by);
  }
  return begin();
}

bool fell_back(const model::Boot& boot) {
  return std::any_of(boot.events.begin(), boot.events.end(),
                     [](const auto& event) { return event.step == model::BootStep::fallback; });
}

// One pass over one operation.
class Work {
 public:
  Work(const View& view, Changes& changes, model::Operation& operation, const state::Record<model::Node>& node)
      : view_(view),
        changes_(changes),
        operation_(operation),
        state_(maintenance_of(operation)),
        record_(node),
        node_(node->value) {}

  std::optional<Ended> go_on() {
    auto ended = step();
    put_maintenance(operation_, state_);
    if (node_ != record_->value) changes_.update(record_, node_);
    return ended;
  }

 private:
  std::optional<Ended> step() {
    switch (state_.stage) {
      case Stage::drain: return drain();
      case Stage::power:
      case Stage::back_power: return follow_power();
      case Stage::boot:
      case Stage::back_boot: return follow_boot();
    }
    return {};
  }

  bool goes_back() const { return state_.stage == Stage::back_power || state_.stage == Stage::back_boot; }

  void tell(std::string phase) {
    if (goes_back()) phase = fmt::format("going back to {}: {}", state_.before, phase);
    operation_.progress = {.phase = std::move(phase),
                           .done = std::min<std::uint64_t>(static_cast<std::uint64_t>(state_.stage), kSteps),
                           .total = kSteps};
  }

  void open() {
    if (!state_.opens) return;
    node_.draining = false;
    node_.schedulable = true;
    changes_.event("node.updated", "node", node_.id.str(), node_.name,
                   fmt::format("Node '{}' is open for guests again", node_.name), operation_.created_by);
  }

  Ended failed(std::string message, std::string hint) {
    return {Error{ErrorCode::failed_precondition, std::move(message), std::move(hint)}};
  }

  // --- emptying it ---

  void let_plans_end() {
    for (const auto& open : view_.inventory.open_operations()) {
      const auto& operation = open->value;
      if (operation.kind != model::operation_kind::plan_apply || operation.cancel_requested) continue;
      const auto plan = view_.inventory.find<model::Plan>(model::PlanId(operation.target));
      if (!plan || !empties_it(plan->value)) continue;
      auto cancelled = operation;
      cancelled.cancel_requested = true;
      changes_.update(open, cancelled);
    }
  }
  bool empties_it(const model::Plan& plan) const {
    return std::any_of(plan.actions.begin(), plan.actions.end(), [&](const model::PlanAction& action) {
      return action.from == node_.id && action.purpose == model::PlanPurpose::evacuate;
    });
  }

  std::optional<Ended> drain() {
    if (operation_.cancel_requested) {
      let_plans_end();
      open();
      return Ended{Error{ErrorCode::cancelled, "cancelled before the node was empty", {}}};
    }
    if (!node_.draining) return failed(fmt::format("node '{}' was opened again meanwhile", node_.name), {});
    const auto empty = check_nothing_runs_on(view_.inventory, node_);
    if (empty) {
      if (switching(view_.inventory, node_) != nullptr) {
        tell("waiting for another change of its power to end");
        return {};
      }
      begin_power(Stage::power, state_.image);
      return {};
    }
    const bool long_ago = state_.stuck_since != Timestamp{} && view_.now - state_.stuck_since > kDrainPatience;
    if (!state_.stuck.empty() && long_ago && view_.settled) {
      let_plans_end();
      open();
      return failed(fmt::format("node '{}' couldn't be emptied: {}", node_.name, state_.stuck),
                    "Make room or stop those guests, then try again.");
    }
    const auto vms = view_.inventory.vms_on_node(node_.id);
    const auto left = static_cast<std::size_t>(std::count_if(
        vms.begin(), vms.end(), [](const auto& vm) { return vm->value.spec.power != model::PowerState::stopped; }));
    tell(!state_.stuck.empty() ? fmt::format("waiting for room: {}", state_.stuck)
         : left == 0           ? empty.error().message
                               : fmt::format("emptying it: {} left", plural(left, "guest")));
    return {};
  }

  // --- switching it ---

  // `image`: what it boots from then on; "" = as it is.
  void begin_power(Stage stage, const std::string& image) {
    state_.stage = stage;
    state_.stuck.clear();
    state_.power_asked = view_.now;
    if (!image.empty() && node_.netboot && node_.netboot->image != image) {
      node_.netboot->image = image;
      changes_.event("node.assigned", "node", node_.id.str(), node_.name,
                     fmt::format("Node '{}' boots {} from its next boot on", node_.name, image), operation_.created_by);
    }
    const auto action =
        state_.then == AfterDrain::off ? model::MachinePowerAction::off : model::MachinePowerAction::cycle;
    state_.power = ask_for_power({view_.inventory, view_.random, view_.now}, node_, action, "manager", changes_);
    tell(action == model::MachinePowerAction::off ? "switching it off" : "switching it off and on");
  }

  std::optional<Ended> follow_power() {
    const auto power = view_.inventory.find<model::Operation>(state_.power);
    if (power && !power->value.terminal()) return {};
    if (power && power->value.state != model::OperationState::succeeded) {
      const auto why = power->value.error ? power->value.error->message : std::string("it was cancelled");
      if (!goes_back() && !state_.before.empty() && node_.netboot) node_.netboot->image = state_.before;
      return stays_closed(fmt::format("node '{}' couldn't be switched: {}", node_.name, why));
    }
    if (state_.then == AfterDrain::off) return Ended{};
    state_.stage = goes_back() ? Stage::back_boot : Stage::boot;
    state_.since = view_.now;
    tell("waiting for it to boot");
    return {};
  }

  Ended stays_closed(std::string what) {
    if (!state_.failure.empty()) what = fmt::format("{}; and going back, {}", state_.failure, what);
    return failed(std::move(what),
                  fmt::format("It stays closed for guests. See what is wrong (bh node show {0}), then: "
                              "bh node undrain {0}",
                              node_.name));
  }

  // --- waiting until it is well ---

  std::optional<Ended> follow_boot() {
    const auto missing = what_is_missing();
    if (missing.empty()) {
      open();
      if (!goes_back()) return Ended{};
      return failed(fmt::format("{}; it runs {} again", state_.failure, state_.before),
                    fmt::format("See what it said: bh node log {}; then mend the image.", node_.name));
    }
    // What was away itself has served no boot and heard no agent.
    if (!view_.settled && view_.now - state_.since > view_.options.heartbeat) state_.since = view_.now;
    tell(missing);
    if (view_.now - state_.since <= state_.boot_deadline) return {};
    const auto minutes = std::chrono::duration<double, std::ratio<60>>(state_.boot_deadline).count();
    const auto why = fmt::format("node '{}' isn't well {:.3g} min after it was switched on{}: {}", node_.name, minutes,
                                 state_.image.empty() || goes_back() ? "" : " with " + state_.image, missing);
    if (state_.stage == Stage::back_boot || state_.before.empty()) return stays_closed(why);
    if (switching(view_.inventory, node_) != nullptr) return {};
    state_.failure = why;
    changes_.event("node.maintenance", "node", node_.id.str(), node_.name,
                   fmt::format("Going back to {}: {}", state_.before, why), operation_.created_by);
    begin_power(Stage::back_power, state_.before);
    return {};
  }

  // "" = nothing: its agent is there since it was switched, by the right image, and all it had before is there again.
  std::string what_is_missing() const {
    const auto boot = node_.netboot ? view_.inventory.find<model::Boot>(node_.id) : nullptr;
    if (node_.netboot) {
      if (!boot || boot->value.started < state_.power_asked) return "it hasn't asked for its boot yet";
      const auto& wanted = goes_back() ? state_.before : state_.image;
      if (!wanted.empty() && boot->value.image != wanted) return fmt::format("it boots {}", boot->value.image);
    }
    const bool heard = node_.last_seen > state_.since;
    if (!heard || node_.state != model::NodeState::ready) {
      // What it says itself is later than all steps of its boot.
      if (heard && node_.state == model::NodeState::not_ready && !node_.message.empty()) return node_.message;
      const auto* last = boot && !boot->value.events.empty() ? &boot->value.events.back() : nullptr;
      if (last != nullptr && last->step != model::BootStep::ready && last->step != model::BootStep::agent) {
        return fmt::format("its boot is at '{}'{}{}", model::to_string(last->step), last->message.empty() ? "" : ": ",
                           last->message);
      }
      if (!heard) return "its agent wasn't heard of since";
      return node_.message.empty() ? "it isn't ready" : node_.message;
    }
    if (boot && fell_back(boot->value)) return "it runs without its bridge";
    if (auto missing = missing_pool(view_, node_.id, state_.pools); !missing.empty()) return missing;
    if (state_.kvm && node_.facts.virtualization != model::Virtualization::kvm) {
      return fmt::format("its agent's trial guest doesn't run on KVM{}{}",
                         node_.facts.virtualization_message.empty() ? "" : ": ", node_.facts.virtualization_message);
    }
    return {};
  }

  const View& view_;
  Changes& changes_;
  model::Operation& operation_;
  MaintenanceState state_;
  const state::Record<model::Node> record_;
  model::Node node_;
};

std::optional<Ended> work(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = node_of(view);
  if (!record) return Ended{gone()};
  return Work(view, changes, operation, record).go_on();
}

void withdraw(const View&, Changes&, model::Operation&) {}

}  // namespace
}  // namespace node_maintain_steps

const Logic node_maintain{.kind = model::operation_kind::node_maintain,
                          .load = Load::none,
                          .start = node_maintain_steps::start,
                          .work = node_maintain_steps::work,
                          .withdraw = node_maintain_steps::withdraw};

}  // namespace bridgehead::reconcile::operations
