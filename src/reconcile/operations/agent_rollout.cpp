// agent.rollout: has one node's agent after the other upgraded, by an operation node.upgrade for each; the rest is as
// of node_image.rollout. Guests stay where they are.
#include "reconcile/operations/maintenance_state.h"
#include "reconcile/operations/records.h"
#include "reconcile/operations/rollout_step.h"
#include "reconcile/operations/upgrade_state.h"

namespace bridgehead::reconcile::operations {
namespace agent_rollout_steps {
namespace {

Start start(const View&, Changes&, model::Operation&) { return begin(); }

class Work final : public RolloutStep {
 public:
  Work(const View& view, Changes& changes, AgentRolloutState& state)
      : RolloutStep(view, changes, state), state_(state) {}

 private:
  bool is_well(const model::Node& node) const override {
    return node.state == model::NodeState::ready && node.facts.agent_version == state_.version;
  }
  std::string goal() const override { return "agent " + state_.version; }
  std::string where_to_look(const RolloutNode& failed) const override {
    return fmt::format("Node by node: bh node upgrade --status; its log: journalctl -u bridgehead-agent-upgrade on {}",
                       failed.name);
  }

  void begin(RolloutNode& one) override {
    const auto record = view().inventory.find<model::Node>(one.node);
    if (!record) return failed(one, "it was taken out of the cluster");
    const auto& node = record->value;
    if (maintenance_on(view().inventory, node.id) || upgrade_on(view().inventory, node.id)) return;
    if (is_well(node)) return done(one, "it ran it already");
    if (!is_ready(one, node)) return;
    auto child = internal_operation(view().random, view().now, kNodeUpgrade, "node", node.id.str(), node.name, 0);
    put_upgrade(
        child,
        {.version = state_.version, .before = node.facts.agent_version, .without_way_back = state_.without_way_back});
    started(one, std::move(child));
  }

  AgentRolloutState& state_;
};

std::optional<Ended> work(const View& view, Changes& changes, model::Operation& operation) {
  auto state = agent_rollout_of(operation);
  Work step(view, changes, state);
  auto ended = step.go_on();
  put_rollout(operation, state);
  operation.progress = step.progress();
  return ended;
}

void withdraw(const View&, Changes&, model::Operation& operation) {
  auto state = agent_rollout_of(operation);
  for (auto& one : state.nodes) one.state = "left";
  put_rollout(operation, state);
}

}  // namespace
}  // namespace agent_rollout_steps

const Logic agent_rollout{.kind = kAgentRollout,
                          .load = Load::none,
                          .start = agent_rollout_steps::start,
                          .work = agent_rollout_steps::work,
                          .withdraw = agent_rollout_steps::withdraw};

}  // namespace bridgehead::reconcile::operations
