#include "reconcile/sleeping_nodes.h"

#include <algorithm>
#include <set>

#include "model/enum_names.h"
#include "reconcile/commands/power.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile {

bool is_proven_off(const state::Inventory& inventory, const model::Node& node) {
  const auto bmc = inventory.find<model::Bmc>(node.id);
  if (!bmc || node.state == model::NodeState::ready) return false;
  const auto& power = bmc->value.power;
  const bool off = power.state == model::MachinePower::off || power.state == model::MachinePower::sleeping;
  return off && node.last_seen < power.time;
}

bool is_asleep(const state::Inventory& inventory, const model::Node& node) {
  return node.to_be_off && node.state != model::NodeState::ready && inventory.find<model::Bmc>(node.id) != nullptr;
}

bool was_woken(const state::Inventory& inventory, const model::Node& node, Timestamp now) {
  return !node.to_be_off && node.power_since != Timestamp{} && now - node.power_since < kLongestWake &&
         inventory.find<model::Bmc>(node.id) != nullptr;
}

bool is_waking(const state::Inventory& inventory, const model::Node& node, Timestamp now) {
  return was_woken(inventory, node, now) && node.state != model::NodeState::ready;
}

model::OperationId set_wanted(const Moment& moment, const state::Record<model::Node>& record, bool wanted,
                              const std::string& by, Changes& changes) {
  auto node = record->value;
  if (node.to_be_off != wanted) return {};
  node.to_be_off = !wanted;
  node.power_since = moment.now;
  changes.update(record, node);
  const auto bmc = moment.inventory.find<model::Bmc>(node.id);
  const bool can = bmc && can_switch(bmc->value, wanted);
  changes.event("node.power", "node", node.id.str(), node.name,
                wanted ? fmt::format("Node '{}' is wanted again", node.name)
                       : fmt::format("Node '{}' is empty and {}", node.name,
                                     can ? "is switched off" : "marked to be switched off"),
                by);
  // One that is being switched off is still ready.
  const bool is_on = node.state == model::NodeState::ready && switching(moment.inventory, node) == nullptr;
  if (!can || (wanted && is_on)) return {};
  return ask_for_power(moment, node, wanted ? model::MachinePowerAction::on : model::MachinePowerAction::off, by,
                       changes);
}

std::vector<state::Record<model::Node>> needed_again(const state::Inventory& inventory) {
  auto marked = inventory.all<model::Node>();
  std::erase_if(marked, [](const auto& node) { return !node->value.to_be_off; });
  if (marked.empty()) return marked;
  std::set<model::NodeId> waited_for;
  for (const auto& operation : inventory.open_operations()) waited_for.insert(operation->value.node);
  std::erase_if(marked, [&](const auto& node) {
    const auto vms = inventory.vms_on_node(node->value.id);
    return !waited_for.contains(node->value.id) && std::none_of(vms.begin(), vms.end(), [](const auto& vm) {
      return vm->value.spec.power != model::PowerState::stopped;
    });
  });
  return marked;
}

Changes observe_awake(const Moment& moment, const model::Node& node) {
  Changes changes;
  const auto bmc = moment.inventory.find<model::Bmc>(node.id);
  if (!bmc || bmc->value.waking_since == Timestamp{} || node.last_seen <= bmc->value.waking_since) return changes;
  auto known = bmc->value;
  known.wake =
      std::max(std::chrono::seconds(1), std::chrono::ceil<std::chrono::seconds>(moment.now - known.waking_since));
  known.waking_since = {};
  changes.update(bmc, known);
  changes.event("node.power", "node", node.id.str(), node.name,
                fmt::format("Node '{}' was ready {} s after it had been switched on", node.name, known.wake.count()),
                "manager");
  return changes;
}

}  // namespace bridgehead::reconcile
