// What the cluster's owner wants of the planner: rules and the policy.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/planning.h"
#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

struct AddRule {
  std::string name;
  model::RuleKind kind = model::RuleKind::apart;
  model::FailureDomain domain = model::FailureDomain::host;
  bool hard = true;
  std::optional<double> weight;  // of a soft rule only
  std::vector<std::string> vms;
  std::map<std::string, std::string> labels;
  std::vector<std::string> nodes;
};

// A rule that doesn't hold yet is brought about by the next plan.
Result<model::Rule> add_rule(Commander& commander, const Caller& caller, const AddRule& request);
Result<model::Rule> remove_rule(Commander& commander, const Caller& caller, const std::string& rule);

// What isn't given stays.
struct PolicyChange {
  std::optional<model::PlanMode> repair, balance, consolidate, power;
  std::optional<bool> power_at_night_only, restart_against_rules;
  std::optional<std::uint64_t> night_from, night_to;
  std::optional<model::Evenness> evenness;
  std::optional<double> ceiling, move_price;
  std::optional<std::uint64_t> most_moves, failures, moves_per_node;
  std::optional<std::uint64_t> horizon_seconds, interval_seconds, sustained_seconds;
};

Result<model::PlanningPolicy> set_policy(Commander& commander, const Caller& caller, const PolicyChange& change);

}  // namespace bridgehead::reconcile
