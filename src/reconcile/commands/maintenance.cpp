#include "reconcile/commands/maintenance.h"

#include <algorithm>

#include "model/enum_names.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/plans.h"
#include "reconcile/commands/power.h"
#include "reconcile/commands/validate.h"
#include "reconcile/operations/maintenance_state.h"
#include "reconcile/operations/rollout_state.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

using model::AfterDrain;
using validate::wrong;

constexpr std::uint64_t kShortestDeadline = 60;
constexpr std::uint64_t kLongestDeadline = 24 * 3600;
constexpr std::uint64_t kMostNodes = 10'000;

Result<std::chrono::seconds> boot_deadline(const std::optional<std::uint64_t>& asked) {
  const auto usual = static_cast<std::uint64_t>(operations::MaintenanceState{}.boot_deadline.count());
  const auto seconds = asked.value_or(usual);
  if (seconds < kShortestDeadline || seconds > kLongestDeadline) {
    return wrong("boot_deadline_seconds", "must be between {} and {}", kShortestDeadline, kLongestDeadline);
  }
  return std::chrono::seconds(seconds);
}

Error cannot(std::string why, std::string hint) {
  return {ErrorCode::failed_precondition, std::move(why), std::move(hint)};
}

// Whether its machine can be switched off and on, and nobody else is at it.
Status check_power(const state::Inventory& inventory, const model::Node& node) {
  const auto bmc = bmc_of(inventory, node);
  if (!bmc) return forward(bmc);
  if (!can_switch((*bmc)->value, false)) {
    return fail(cannot(fmt::format("node '{}' can only be switched on, by Wake-on-LAN", node.name),
                       fmt::format("Say how it is switched off: bh node bmc set {} --driver ...", node.name)));
  }
  if (const auto open = switching(inventory, node)) {
    return fail(cannot(fmt::format("node '{}' is being switched", node.name),
                       fmt::format("Wait for it: bh operation watch {}", open->value.id)));
  }
  if (const auto open = operations::maintenance_on(inventory, node.id)) {
    const auto what = operations::purpose_of(operations::maintenance_of(open->value));
    return fail(cannot(fmt::format("node '{}' is to {} already", node.name, what),
                       fmt::format("Wait for it: bh operation watch {}", open->value.id)));
  }
  return {};
}

// A diskless node keeps its local pools in memory, unless somebody has given it disks.
Status check_nothing_is_lost(const state::Inventory& inventory, const model::Node& node) {
  for (const auto& image : inventory.all<model::Image>()) {
    if (image->value.node != node.id) continue;
    const auto pool = inventory.find<model::Pool>(image->value.pool);
    if (!pool || !pool->value.nodes.contains(node.id)) continue;
    const auto& file_system = pool->value.nodes.at(node.id).abilities.file_system;
    if (file_system != "tmpfs" && !(node.netboot && file_system == "overlayfs")) continue;
    return fail(
        cannot(fmt::format("pool '{}' is in the memory of node '{}', and with it image '{}', which would be lost",
                           pool->value.name, node.name, image->value.name),
               "Move it to another pool or delete it first: bh image migrate, bh image delete."));
  }
  return {};
}

Status check_ready(const model::Node& node) {
  if (node.state == model::NodeState::ready) return {};
  return fail(
      cannot(fmt::format("node '{}' isn't ready{}{}", node.name, node.message.empty() ? "" : ": ", node.message),
             fmt::format("Mend it first, or, where nothing runs there: bh node power {} cycle", node.name)));
}

// The image that it runs; where nobody saw it boot, the one that it is assigned to.
std::string image_of(const state::Inventory& inventory, const model::Node& node) {
  const auto boot = inventory.find<model::Boot>(node.id);
  const auto name = boot && !boot->value.image.empty() ? boot->value.image : node.netboot->image;
  const auto image = inventory.find_by_name<model::NodeImage>(name);
  return image && image->value.state == model::NodeImageState::ready ? name : std::string();
}

Status check_boots(const state::Inventory& inventory, const model::Node& node, const model::NodeImage& image) {
  if (node.netboot->approval != model::Approval::approved) {
    return fail(
        cannot(fmt::format("node '{}' isn't approved", node.name), fmt::format("bh node approve {}", node.name)));
  }
  const auto profile = find_profile(inventory, node.netboot->profile);
  if (!profile) return forward(profile);
  const auto& has = image.transports;
  if (std::find(has.begin(), has.end(), profile->root) != has.end()) return {};
  return fail(cannot(fmt::format("node '{}' has its root by {}, which '{}' can't be", node.name,
                                 model::to_string(profile->root), image.name),
                     "Choose another root (bh profile set NAME --root nbd), or build the image anew."));
}

Result<state::Record<model::NodeImage>> ready_image(const state::Inventory& inventory, const std::string& reference) {
  const auto image = resolve_node_image(inventory, reference);
  if (!image || (*image)->value.state == model::NodeImageState::ready) return image;
  return fail(
      cannot(fmt::format("node image '{}' is {}", (*image)->value.name, model::to_string((*image)->value.state)),
             "Only a ready one can be booted: bh node-image list"));
}

// Which image it boots next, and which it goes back to.
Status choose_image(const state::Inventory& inventory, const model::Node& node, operations::MaintenanceState& state) {
  if (!node.netboot) {
    return fail(cannot(fmt::format("node '{}' doesn't boot over the network", node.name),
                       "Update its own system, and then: bh node drain NODE --then reboot"));
  }
  const auto& assigned = node.netboot->image;
  if (assigned.empty()) {
    return fail(cannot(fmt::format("node '{}' has no image", node.name),
                       fmt::format("bh node assign {} --image NAME", node.name)));
  }
  const auto newest = ready_image(inventory, assigned.substr(0, assigned.find(':')));
  if (!newest) return forward(newest);
  if (auto checked = check_boots(inventory, node, (*newest)->value); !checked) return checked;
  state.image = (*newest)->value.name;
  state.before = image_of(inventory, node);
  if (state.before != state.image) return {};
  return fail(cannot(fmt::format("node '{}' runs {} already, the newest", node.name, state.image),
                     "To have it boot once more: --then reboot"));
}

Error guests_stay(const std::vector<std::string>& problems) {
  return cannot(fmt::format("{}", fmt::join(problems, "; ")),
                "Make room, or stop those guests (bh vm stop), then try again. Nothing was changed.");
}

Result<Accepted<model::Node>> fill_maintain(Commander& commander, Draft& draft, const std::string& reference,
                                            const MaintainNode& request, std::optional<model::Plan>& moves) {
  const auto deadline = boot_deadline(request.boot_deadline_seconds);
  if (!deadline) return forward(deadline);
  const auto record = resolve<model::Node>(draft.inventory, reference);
  if (!record) return forward(record);
  const auto& node = (*record)->value;
  operations::MaintenanceState state{.then = request.then, .boot_deadline = *deadline};
  for (auto checked :
       {check_power(draft.inventory, node), check_ready(node), check_nothing_is_lost(draft.inventory, node),
        request.then == AfterDrain::update ? choose_image(draft.inventory, node, state) : Status()}) {
    if (!checked) return forward(checked);
  }
  auto evacuation = plan_evacuation(commander, {node.id});
  if (!evacuation.stay.empty()) return fail(guests_stay(evacuation.stay));
  if (!evacuation.plan.actions.empty()) moves = std::move(evacuation.plan);
  auto operation = draft.operation(model::operation_kind::node_maintain, "node", node.id.str(), node.name, 0);
  operations::put_maintenance(operation, state);
  draft.add(operation);
  return Accepted<model::Node>{.object = node, .operation = std::move(operation)};
}

// --- rollout ---

bool runs(const state::Inventory& inventory, const model::Node& node, const std::string& image) {
  return node.state == model::NodeState::ready && node.netboot->image == image && image_of(inventory, node) == image;
}

Status check_node(const state::Inventory& inventory, const model::Node& node, const model::NodeImage& image) {
  if (auto checked = check_boots(inventory, node, image); !checked) return checked;
  if (runs(inventory, node, image.name) || is_asleep(inventory, node)) return {};
  if (auto checked = check_power(inventory, node); !checked) return checked;
  if (auto checked = check_ready(node); !checked) return checked;
  return check_nothing_is_lost(inventory, node);
}

// Whether so many nodes at once can be emptied, in the order in which they will be.
std::vector<std::string> guests_that_stay(const Commander& commander, const std::vector<model::NodeId>& nodes,
                                          std::size_t canary, std::size_t at_once) {
  std::vector<std::string> stay;
  for (std::size_t i = 0; i < nodes.size();) {
    const auto group = std::min(at_once, i < canary ? canary - i : nodes.size() - i);
    const auto first = nodes.begin() + static_cast<std::ptrdiff_t>(i);
    auto evacuation = plan_evacuation(commander, {first, first + static_cast<std::ptrdiff_t>(group)});
    stay.insert(stay.end(), evacuation.stay.begin(), evacuation.stay.end());
    i += group;
  }
  return stay;
}

Result<Accepted<model::NodeImage>> fill_rollout(const Commander& commander, Draft& draft, const std::string& reference,
                                                const RolloutNodeImage& request) {
  const auto& inventory = draft.inventory;
  if (request.max_unavailable < 1 || request.max_unavailable > kMostNodes) {
    return wrong("max_unavailable", "must be between 1 and {}", kMostNodes);
  }
  if (request.canary > kMostNodes) return wrong("canary", "must be at most {}", kMostNodes);
  const auto deadline = boot_deadline(request.boot_deadline_seconds);
  if (!deadline) return forward(deadline);
  const auto image = ready_image(inventory, reference);
  if (!image) return forward(image);
  auto nodes = selected(inventory, request.select);
  if (!nodes) return forward(nodes);
  for (const auto& open : inventory.open_operations()) {
    if (open->value.kind != model::operation_kind::node_image_rollout) continue;
    return fail(cannot(fmt::format("{} is being rolled out", open->value.target_name),
                       fmt::format("Wait for it, or: bh operation cancel {}", open->value.id)));
  }
  const auto& name = (*image)->value.name;
  // Who has something to do first: a canary that sleeps proves nothing.
  const auto idle = std::stable_partition(nodes->begin(), nodes->end(), [&](const auto& node) {
    return !runs(inventory, node->value, name) && !is_asleep(inventory, node->value);
  });
  if (std::all_of(nodes->begin(), nodes->end(), [&](const auto& node) { return runs(inventory, node->value, name); })) {
    return fail(ErrorCode::failed_precondition, "all of these nodes run {} already", name);
  }
  operations::RolloutState state;
  state.image = name;
  state.max_unavailable = request.max_unavailable;
  state.canary = std::min<std::uint64_t>(request.canary, nodes->size());
  state.boot_deadline = *deadline;
  std::vector<std::string> problems;
  std::vector<model::NodeId> emptied;
  for (auto at = nodes->begin(); at != nodes->end(); ++at) {
    const auto& node = (*at)->value;
    if (auto checked = check_node(inventory, node, (*image)->value); !checked) {
      problems.push_back(fmt::format("{}. {}", checked.error().message, checked.error().hint));
    }
    if (at < idle) emptied.push_back(node.id);
    state.nodes.push_back({.node = node.id, .name = node.name, .from = image_of(inventory, node)});
  }
  if (!problems.empty()) return fail(cannot(fmt::format("{}", fmt::join(problems, "; ")), "Nothing was changed."));
  const auto stay = guests_that_stay(commander, emptied, state.canary, state.max_unavailable);
  if (!stay.empty()) return fail(guests_stay(stay));
  auto operation =
      draft.operation(model::operation_kind::node_image_rollout, "node_image", (*image)->value.id.str(), name, 0);
  operations::put_rollout(operation, state);
  draft.add(operation);
  return Accepted<model::NodeImage>{.object = (*image)->value, .operation = std::move(operation)};
}

}  // namespace

Result<Maintained> maintain_node(Commander& commander, const Caller& caller, const std::string& node,
                                 const MaintainNode& request) {
  std::optional<model::Plan> moves;
  auto accepted = run_operation<model::Node>(commander, caller, [&](Draft& draft) {
    moves.reset();
    return fill_maintain(commander, draft, node, request, moves);
  });
  if (!accepted) return forward(accepted);
  return Maintained{.accepted = std::move(*accepted), .moves = std::move(moves)};
}

Result<Accepted<model::NodeImage>> rollout_node_image(Commander& commander, const Caller& caller,
                                                      const std::string& image, const RolloutNodeImage& request) {
  return run_operation<model::NodeImage>(commander, caller,
                                         [&](Draft& draft) { return fill_rollout(commander, draft, image, request); });
}

}  // namespace bridgehead::reconcile
