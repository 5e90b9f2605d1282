// node.upgrade: a node's agent, which came with the Debian package, gets another version; its guests run on. The
// upgrade desk hands the packages over and hears what came of them; this says when that is well, and when it is too
// late. The node itself goes back to the package before when the new agent doesn't come to the manager
// (host_agent/upgrade). Its parameters say how far it is, so a manager that is killed goes on where it was.
//
// Until the desk sends the order it can be cancelled.
#include "reconcile/operations/records.h"
#include "reconcile/operations/upgrade_state.h"

namespace bridgehead::reconcile::operations {
namespace node_upgrade_steps {
namespace {

using Stage = UpgradeStage;

// So long an agent may be away before it has the order.
constexpr std::chrono::minutes kHandOverPatience{10};
// From then on until it says what came of it: two installations and two waits of host_agent/upgrade, and half as much.
constexpr std::chrono::minutes kInstallPatience{20};
// Then until all that was there before is there again.
constexpr std::chrono::minutes kReadyPatience{5};
constexpr std::uint64_t kSteps = 3;

state::Record<model::Node> node_of(const View& view) {
  return view.inventory.find<model::Node>(model::NodeId(view.operation().target));
}

Ended failed(std::string message, std::string hint) {
  return {Error{ErrorCode::failed_precondition, std::move(message), std::move(hint)}};
}

Ended gone() { return {Error{ErrorCode::not_found, "the node was taken out of the cluster", {}}}; }

Start start(const View& view, Changes&, model::Operation& operation) {
  const auto node = node_of(view);
  if (!node) return end_with(*gone().error);
  auto state = upgrade_of(operation);
  if (node->value.facts.agent_version == state.version && node->value.state == model::NodeState::ready) {
    return end_well();
  }
  state.pools = ready_pools(view, node->value.id);
  put_upgrade(operation, state);
  return begin();
}

std::string missing_of(const View& view, const model::Node& node, const UpgradeState& state) {
  if (node.facts.agent_version != state.version) return fmt::format("its agent is {}", node.facts.agent_version);
  if (node.state != model::NodeState::ready) return node.message.empty() ? "it isn't ready" : node.message;
  return missing_pool(view, node.id, state.pools);
}

std::optional<Ended> late(const View& view, const model::Node& node, const UpgradeState& state) {
  const auto hint =
      fmt::format("Look at it: bh node show {}; journalctl -u bridgehead-agent -u bridgehead-agent-upgrade", node.name);
  const auto waited = view.now - state.since;
  if (state.stage != Stage::install) {
    if (view.now - view.operation().started <= kHandOverPatience) return {};
    return failed(fmt::format("node '{}' couldn't be given the package: its agent isn't connected", node.name), hint);
  }
  if (state.outcome == UpgradeOutcome::none) {
    if (waited <= kInstallPatience) return {};
    return failed(fmt::format("node '{}' hasn't said what came of it in {} min", node.name, kInstallPatience.count()),
                  hint);
  }
  const auto missing = missing_of(view, node, state);
  if (missing.empty()) return Ended{};
  if (waited <= kReadyPatience) return {};
  return failed(fmt::format("node '{}' isn't as well with {} as before: {}", node.name, state.version, missing), hint);
}

std::string phase_of(const View& view, const model::Node& node, const UpgradeState& state) {
  switch (state.stage) {
    case Stage::wait: return "waiting for its agent";
    case Stage::send: return "sending the package";
    case Stage::install:
      return state.outcome == UpgradeOutcome::none ? std::string("installing") : missing_of(view, node, state);
  }
  return {};
}

std::optional<Ended> work(const View& view, Changes&, model::Operation& operation) {
  const auto record = node_of(view);
  if (!record) return gone();
  const auto& node = record->value;
  auto state = upgrade_of(operation);
  if (state.outcome == UpgradeOutcome::failed) {
    return failed(fmt::format("node '{}': {}", node.name, state.failure), state.hint);
  }
  if (state.stage == Stage::wait && operation.cancel_requested) {
    return Ended{Error{ErrorCode::cancelled, "cancelled before its agent had the order", {}}};
  }
  // What was away itself has heard nobody.
  if (!view.settled && state.since != Timestamp{} && view.now - state.since > view.options.heartbeat) {
    state.since = view.now;
    put_upgrade(operation, state);
  }
  if (auto ended = late(view, node, state)) return ended;
  operation.progress = {
      .phase = phase_of(view, node, state), .done = static_cast<std::uint64_t>(state.stage), .total = kSteps};
  return {};
}

void withdraw(const View&, Changes&, model::Operation&) {}

}  // namespace
}  // namespace node_upgrade_steps

const Logic node_upgrade{.kind = kNodeUpgrade,
                         .load = Load::none,
                         .start = node_upgrade_steps::start,
                         .work = node_upgrade_steps::work,
                         .withdraw = node_upgrade_steps::withdraw};

}  // namespace bridgehead::reconcile::operations
