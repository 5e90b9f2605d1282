// node_image.rollout: has one node after the other boot an image, by an operation node.maintain for each. The canaries
// first; all others only when these are well. What fails takes its own node back to the image before; here it ends
// the rollout: what is under way goes to its end, nothing else begins. The same when it is cancelled. Its parameters
// say how far each node is; they and the operations change in one transaction, so a manager that is killed goes on.
#include "reconcile/operations/maintenance_state.h"
#include "reconcile/operations/records.h"
#include "reconcile/operations/rollout_step.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile::operations {
namespace rollout_steps {
namespace {

Start start(const View&, Changes&, model::Operation&) { return begin(); }

bool runs(const View& view, const model::Node& node, const std::string& image) {
  const auto boot = view.inventory.find<model::Boot>(node.id);
  return boot && boot->value.image == image && node.state == model::NodeState::ready && node.netboot &&
         node.netboot->image == image;
}

class Work final : public RolloutStep {
 public:
  Work(const View& view, Changes& changes, RolloutState& state) : RolloutStep(view, changes, state), state_(state) {}

 private:
  bool is_well(const model::Node& node) const override { return runs(view(), node, state_.image); }
  std::string goal() const override { return state_.image; }
  std::string where_to_look(const RolloutNode& failed) const override {
    return fmt::format("Node by node: bh node-image rollout --status; its boot: bh node show {}", failed.name);
  }

  // The planner answers; nobody needs to wait for the moves.
  std::optional<Ended> all_done() override {
    if (state_.refill.empty()) state_.refill = kRefillWanted;
    return state_.refill == kRefillWanted && !view().operation().cancel_requested ? std::nullopt
                                                                                  : std::optional(Ended{});
  }

  void begin(RolloutNode& one) override {
    const auto record = view().inventory.find<model::Node>(one.node);
    if (!record || !record->value.netboot) return failed(one, "it was taken out of the cluster");
    const auto& node = record->value;
    if (maintenance_on(view().inventory, node.id)) return;  // somebody else's; its turn comes after that
    if (runs(view(), node, state_.image)) return done(one, "it ran it already");
    if (is_asleep(view().inventory, node)) {
      auto assigned = node;
      assigned.netboot->image = state_.image;
      if (assigned != node) changes().update(record, assigned);
      return done(one, "it is off, and boots it when it is switched on");
    }
    if (!is_ready(one, node)) return;
    auto child = internal_operation(view().random, view().now, model::operation_kind::node_maintain, "node",
                                    node.id.str(), node.name, 0);
    put_maintenance(child, {.then = model::AfterDrain::update,
                            .image = state_.image,
                            .before = one.from,
                            .boot_deadline = state_.boot_deadline});
    started(one, std::move(child));
  }

  RolloutState& state_;
};

std::optional<Ended> work(const View& view, Changes& changes, model::Operation& operation) {
  auto state = rollout_of(operation);
  Work step(view, changes, state);
  auto ended = step.go_on();
  put_rollout(operation, state);
  operation.progress = step.progress(state.refill == kRefillWanted ? "letting guests come back" : "");
  return ended;
}

void withdraw(const View&, Changes&, model::Operation& operation) {
  auto state = rollout_of(operation);
  for (auto& one : state.nodes) one.state = "left";
  put_rollout(operation, state);
}

}  // namespace
}  // namespace rollout_steps

const Logic node_image_rollout{.kind = model::operation_kind::node_image_rollout,
                               .load = Load::none,
                               .start = rollout_steps::start,
                               .work = rollout_steps::work,
                               .withdraw = rollout_steps::withdraw};

}  // namespace bridgehead::reconcile::operations
