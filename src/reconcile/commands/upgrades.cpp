#include "reconcile/commands/upgrades.h"

#include <algorithm>

#include "reconcile/agent_versions.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"
#include "reconcile/operations/rollout_state.h"
#include "reconcile/operations/upgrade_state.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

constexpr std::uint64_t kMostUpgrades = 10'000;

Error in_the_way(std::string message, std::string hint) {
  return {ErrorCode::failed_precondition, std::move(message), std::move(hint)};
}

// In the order in which they were named.
Result<std::vector<state::Record<model::Node>>> upgraded_nodes(const state::Inventory& inventory,
                                                               const UpgradeNodes& request) {
  if (request.all == !request.nodes.empty()) return wrong("nodes", "name nodes, or say that all are meant");
  const auto all = inventory.all<model::Node>();
  std::vector<state::Record<model::Node>> chosen;
  if (request.all) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen),
                 [](const auto& node) { return !node->value.netboot; });
    if (chosen.empty()) return fail(in_the_way("no node has its agent by the package", "bh node list"));
  }
  for (const auto& wanted : request.nodes) {
    bool found = false;
    for (const auto& node : all) {
      if (!is_meant(node->value, wanted)) continue;
      found = true;
      if (std::find(chosen.begin(), chosen.end(), node) == chosen.end()) chosen.push_back(node);
    }
    if (!found) {
      return fail_with_hint(ErrorCode::not_found, fmt::format("there is no node '{}'", validate::shown(wanted)),
                            "bh node list");
    }
  }
  return chosen;
}

bool has_version(const model::Node& node, const std::string& version) { return node.facts.agent_version == version; }

Status check_upgrade(const model::Node& node, const UpgradePort& packages, const UpgradeNodes& request,
                     const std::string& version) {
  if (node.netboot) {
    return fail(in_the_way(fmt::format("node '{}' gets its agent with its image", node.name),
                           "bh node-image build, then bh node-image rollout"));
  }
  const bool ready = node.state == model::NodeState::ready;
  if (ready && has_version(node, version)) return {};
  if (!ready) {
    return fail(
        in_the_way(fmt::format("node '{}' isn't ready{}{}", node.name, node.message.empty() ? "" : ": ", node.message),
                   "Mend it first, or install the package there by hand (apt install)"));
  }
  const auto& has = node.facts.agent_version;
  if (is_older(version, has) && !work_together(version, has)) {
    return fail(
        in_the_way(fmt::format("node '{}' has {}, from which {} isn't one version back", node.name, has, version),
                   "Go back one version after the other, or install the package there by hand (apt install)"));
  }
  if (request.without_way_back || packages.has(has)) return {};
  return fail(in_the_way(
      fmt::format("node '{}' has {}, of which this manager has no package to go back to", node.name, has),
      "Without one, a new agent that doesn't work has to be mended on the node: bh node upgrade --without-way-back"));
}

Result<std::string> wanted_version(const UpgradePort& packages, const UpgradeNodes& request) {
  if (!request.version.empty()) {
    if (packages.has(request.version)) return request.version;
    return fail(
        in_the_way(fmt::format("this manager has no agent's package of version '{}'", validate::shown(request.version)),
                   "It keeps the last few that came with it, and the one that came with it now: leave it out."));
  }
  if (packages.version().empty()) {
    return fail(in_the_way("no agent's package came with this manager", "Install the manager's Debian package."));
  }
  return packages.version();
}

Result<model::Operation> fill_upgrade(Draft& draft, const UpgradePort& packages, const UpgradeNodes& request) {
  if (request.max_unavailable < 1 || request.max_unavailable > kMostUpgrades) {
    return wrong("max_unavailable", "must be between 1 and {}", kMostUpgrades);
  }
  if (request.canary > kMostUpgrades) return wrong("canary", "must be at most {}", kMostUpgrades);
  const auto version = wanted_version(packages, request);
  if (!version) return forward(version);
  auto nodes = upgraded_nodes(draft.inventory, request);
  if (!nodes) return forward(nodes);
  for (const auto& open : draft.inventory.open_operations()) {
    if (open->value.kind != operations::kAgentRollout) continue;
    return fail(in_the_way(fmt::format("agents are being upgraded to {}", open->value.target_name),
                           fmt::format("Wait for it, or: bh operation cancel {}", open->value.id)));
  }
  // Who has something to do first: a canary that has it already proves nothing.
  std::stable_partition(nodes->begin(), nodes->end(),
                        [&](const auto& node) { return !has_version(node->value, *version); });
  operations::AgentRolloutState state;
  state.version = *version;
  state.without_way_back = request.without_way_back;
  state.max_unavailable = request.max_unavailable;
  state.canary = std::min<std::uint64_t>(request.canary, nodes->size());
  std::vector<std::string> problems;
  for (const auto& record : *nodes) {
    const auto& node = record->value;
    if (auto checked = check_upgrade(node, packages, request, *version); !checked) {
      problems.push_back(fmt::format("{}. {}", checked.error().message, checked.error().hint));
    }
    state.nodes.push_back({.node = node.id, .name = node.name, .from = node.facts.agent_version});
  }
  if (!problems.empty()) return fail(in_the_way(fmt::format("{}", fmt::join(problems, "; ")), "Nothing was changed."));
  auto operation = draft.operation(operations::kAgentRollout, "agent", *version, *version, 0);
  operations::put_rollout(operation, state);
  draft.add(operation);
  return operation;
}

}  // namespace

Result<model::Operation> upgrade_nodes(Commander& commander, const Caller& caller, const UpgradePort& packages,
                                       const UpgradeNodes& request) {
  const auto before = made_before(commander.inventory, caller);
  if (!before) return forward(before);
  if (!before->empty()) return before->front();
  return run<model::Operation>(commander, caller, [&](Draft& draft) { return fill_upgrade(draft, packages, request); });
}

}  // namespace bridgehead::reconcile
