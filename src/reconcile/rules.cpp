#include "reconcile/rules.h"

#include <algorithm>

namespace bridgehead::reconcile {

bool selects(const model::Rule& rule, const model::Vm& vm) {
  if (std::find(rule.vms.begin(), rule.vms.end(), vm.id) != rule.vms.end()) return true;
  return !rule.labels.empty() && std::all_of(rule.labels.begin(), rule.labels.end(), [&](const auto& wanted) {
    const auto found = vm.labels.find(wanted.first);
    return found != vm.labels.end() && found->second == wanted.second;
  });
}

std::vector<model::Rule> hard_rules(const state::Inventory& inventory) {
  std::vector<model::Rule> rules;
  for (const auto& record : inventory.all<model::Rule>()) {
    if (record->value.hard) rules.push_back(record->value);
  }
  return rules;
}

std::set<std::size_t> rules_of(const std::vector<model::Rule>& rules, const model::Vm& vm) {
  std::set<std::size_t> indices;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (selects(rules[i], vm)) indices.insert(i);
  }
  return indices;
}

std::string describe_members(const state::Inventory& inventory, const model::Rule& rule) {
  std::string text;
  for (const auto& id : rule.vms) {
    const auto vm = inventory.find<model::Vm>(id);
    if (vm) text += (text.empty() ? "" : ", ") + vm->value.name;
  }
  std::string labels;
  for (const auto& [key, value] : rule.labels) labels += fmt::format("{}{}={}", labels.empty() ? "" : ",", key, value);
  if (labels.empty()) return text;
  return fmt::format("{}{}guests with {}", text, text.empty() ? "" : " and ", labels);
}

model::PlanningPolicy planning_policy(const state::Inventory& inventory) {
  const auto stored = inventory.all<model::PlanningPolicy>();
  return stored.empty() ? model::PlanningPolicy{} : stored.front()->value;
}

}  // namespace bridgehead::reconcile
