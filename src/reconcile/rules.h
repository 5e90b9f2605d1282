// Whom rules are about. Pure reads of the inventory; thread-safe.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "model/planning.h"
#include "model/vm.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

bool selects(const model::Rule& rule, const model::Vm& vm);
// In the order of their names.
std::vector<model::Rule> hard_rules(const state::Inventory& inventory);
// Indices of those that are about it.
std::set<std::size_t> rules_of(const std::vector<model::Rule>& rules, const model::Vm& vm);
// "web-1, web-2 and guests with tier=db", for people.
std::string describe_members(const state::Inventory& inventory, const model::Rule& rule);

// The policy in force: the stored one or the defaults.
model::PlanningPolicy planning_policy(const state::Inventory& inventory);

}  // namespace bridgehead::reconcile
