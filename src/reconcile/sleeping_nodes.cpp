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
                                     !can                 ? "marked to be switched off"
                                     : sleeps(bmc->value) ? "is put to sleep"
                                                          : "is switched off"),
                by);
  // One that is being switched off is still ready.
  const bool is_on = node.state == model::NodeState::ready && switching(moment.inventory, node) == nullptr;
  if (!can || (wanted && is_on)) return {};
  const auto action = wanted               ? model::MachinePowerAction::on
                      : sleeps(bmc->value) ? model::MachinePowerAction::sleep
                                           : model::MachinePowerAction::off;
  return ask_for_power(moment, node, action, by, changes);
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

bool sleeps(const model::Bmc& bmc) { return bmc.sleep == model::SleepTrial::works; }

void note_no_sleep(model::Bmc& bmc, const std::string& why) {
  bmc.sleep = model::SleepTrial::fails;
  bmc.sleep_message = why;
  bmc.asleep_since = {};
}

void note_woken(model::Bmc& bmc, const model::Node& node, Timestamp now) {
  using std::chrono::seconds;
  const auto took = bmc.waking_since == Timestamp{}
                        ? seconds(0)
                        : std::max(seconds(1), std::chrono::ceil<seconds>(now - bmc.waking_since));
  bmc.waking_since = {};
  if (bmc.asleep_since == Timestamp{}) {
    bmc.wake = took;
    return;
  }
  // The kernel's clock goes on while the machine sleeps, and begins anew when it boots.
  if (seconds(node.load.uptime_seconds) < now - bmc.asleep_since) {
    if (took > seconds(0)) bmc.wake = took;
    return note_no_sleep(bmc, "it had to boot when it was woken: what it had in memory was lost");
  }
  bmc.sleep = model::SleepTrial::works;
  bmc.sleep_message.clear();
  bmc.asleep_since = {};
  if (took > seconds(0)) bmc.sleep_wake = took;
}

Changes observe_awake(const Moment& moment, const model::Node& node) {
  Changes changes;
  const auto bmc = moment.inventory.find<model::Bmc>(node.id);
  if (!bmc) return changes;
  auto known = bmc->value;
  const bool by_itself = known.waking_since == Timestamp{} && known.asleep_since != Timestamp{} &&
                         switching(moment.inventory, node) == nullptr && node.last_seen > known.power.time;
  const bool woken = known.waking_since != Timestamp{} && node.last_seen > known.waking_since;
  if (!by_itself && !woken) return changes;
  const bool slept = known.asleep_since != Timestamp{};
  note_woken(known, node, moment.now);
  changes.update(bmc, known);
  const auto took = sleeps(known) && slept ? known.sleep_wake : known.wake;
  changes.event("node.power", "node", node.id.str(), node.name,
                by_itself ? fmt::format("Node '{}' woke without being asked to", node.name)
                : slept
                    ? fmt::format("Node '{}' was ready {} s after it had been woken{}", node.name, took.count(),
                                  sleeps(known) ? "" : ", but had to boot: it isn't put to sleep any more")
                    : fmt::format("Node '{}' was ready {} s after it had been switched on", node.name, took.count()),
                "manager");
  return changes;
}

}  // namespace bridgehead::reconcile
