#include "reconcile/node_watts.h"

#include <algorithm>

#include "reconcile/problems.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

// Nodes that this plan has put to sleep have the same part each of what it saves. One that wakes others as well says
// nothing about those.
void add_promises(const model::Plan& plan, std::map<model::NodeId, double>& promises) {
  std::vector<model::NodeId> sleeping;
  for (const auto& action : plan.actions) {
    if (action.kind == model::PlanActionKind::wake) return;
    const bool done = action.state == model::PlanActionState::done;
    if (action.kind == model::PlanActionKind::sleep && done) sleeping.push_back(action.to);
  }
  const double saves = plan.watts_before - plan.watts_after;
  if (saves <= 0) return;
  for (const auto& node : sleeping) {
    const auto found = promises.find(node);
    if (found != promises.end()) found->second = saves / static_cast<double>(sleeping.size());
  }
}

}  // namespace

scheduler::PowerModel power_model_of(const state::Inventory& inventory, const model::Node& node) {
  const auto profile = node.facts.machine.empty()
                           ? nullptr
                           : inventory.find<model::PowerProfile>(model::PowerProfileId(node.facts.machine));
  if (!profile) return {};
  return {.idle_watts = profile->value.idle_watts,
          .busy_watts = profile->value.busy_watts,
          .asleep_watts = profile->value.off_watts};
}

bool takes_power(const model::Node& node) {
  return is_member(node) && !(node.netboot && node.certificate_serial.empty());
}

std::optional<NodeWatts> watts_of(const state::Inventory& inventory, const UseHistory* use, const model::Node& node,
                                  std::optional<double> by_bmc, Timestamp now) {
  const auto model = power_model_of(inventory, node);
  NodeWatts found{.least = model.idle_watts};
  if (is_proven_off(inventory, node)) {
    found.off = true;
    found.watts = model.asleep_watts;
  } else {
    const auto cpus = use == nullptr ? std::nullopt : use->node_cpus(node.id, now);
    if (!cpus && !(by_bmc && node.state == model::NodeState::ready)) return {};
    const auto busy = std::clamp(cpus.value_or(0) / std::max(1.0, static_cast<double>(node.facts.cpus)), 0.0, 1.0);
    found.watts = model.watts_on(busy);
    found.idle_part = model.idle_watts / found.watts;
    if (const auto counted = use == nullptr ? std::nullopt : use->node_rapl_watts(node.id, now)) {
      found.watts = *counted;
      found.source = model::PowerSource::rapl;
    }
  }
  if (by_bmc) {
    found.watts = *by_bmc;
    found.source = model::PowerSource::bmc;
  }
  return found;
}

std::map<model::NodeId, double> promised_watts(const state::Inventory& inventory) {
  std::map<model::NodeId, double> promises;
  for (const auto& node : inventory.all<model::Node>()) {
    if (!node->value.to_be_off) continue;
    const auto model = power_model_of(inventory, node->value);
    promises.emplace(node->value.id, model.idle_watts - model.asleep_watts);
  }
  if (promises.empty()) return promises;
  auto plans = inventory.all<model::Plan>();
  std::sort(plans.begin(), plans.end(),
            [](const auto& a, const auto& b) { return a->value.started < b->value.started; });
  for (const auto& plan : plans) add_promises(plan->value, promises);
  return promises;
}

}  // namespace bridgehead::reconcile
