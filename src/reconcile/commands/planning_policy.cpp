#include <cmath>

#include "base/ids.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/planning.h"
#include "reconcile/commands/validate.h"
#include "reconcile/rules.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

template <typename T>
Status put(std::string_view field, const std::optional<std::uint64_t>& wanted, std::uint64_t least, std::uint64_t most,
           T& out) {
  if (!wanted) return {};
  if (*wanted < least || *wanted > most) return wrong(field, "must be between {} and {}", least, most);
  out = T(*wanted);
  return {};
}

Status put(std::string_view field, const std::optional<double>& wanted, double least, double most, double& out) {
  if (!wanted) return {};
  if (!std::isfinite(*wanted) || *wanted < least || *wanted > most) {
    return wrong(field, "must be between {} and {}", least, most);
  }
  out = *wanted;
  return {};
}

Status change(const PolicyChange& change, model::PlanningPolicy& policy) {
  constexpr std::uint64_t kADay = 24UL * 3600;
  policy.repair = change.repair.value_or(policy.repair);
  policy.balance = change.balance.value_or(policy.balance);
  policy.consolidate = change.consolidate.value_or(policy.consolidate);
  policy.power = change.power.value_or(policy.power);
  policy.power_at_night_only = change.power_at_night_only.value_or(policy.power_at_night_only);
  policy.restart_against_rules = change.restart_against_rules.value_or(policy.restart_against_rules);
  policy.evenness = change.evenness.value_or(policy.evenness);
  for (const auto& checked : {put("night_from", change.night_from, 0, 23, policy.night_from),
                              put("night_to", change.night_to, 0, 23, policy.night_to),
                              put("ceiling", change.ceiling, 0.1, 1.0, policy.ceiling),
                              put("move_price", change.move_price, 0.0, 1.0, policy.move_price),
                              put("most_moves", change.most_moves, 0, 0xffffffff, policy.most_moves),
                              put("failures", change.failures, 0, 1000, policy.failures),
                              put("moves_per_node", change.moves_per_node, 1, 64, policy.moves_per_node),
                              put("horizon", change.horizon_seconds, 60, 7 * kADay, policy.horizon),
                              put("interval", change.interval_seconds, 1, kADay, policy.interval),
                              put("sustained", change.sustained_seconds, 0, kADay, policy.sustained)}) {
    if (!checked) return checked;
  }
  if (policy.power_at_night_only && policy.night_from == policy.night_to) {
    return wrong("night_to", "must be another hour than night_from");
  }
  return {};
}

}  // namespace

Result<model::PlanningPolicy> set_policy(Commander& commander, const Caller& caller, const PolicyChange& wanted) {
  return run<model::PlanningPolicy>(commander, caller, [&](Draft& draft) -> Result<model::PlanningPolicy> {
    const auto stored = draft.inventory.all<model::PlanningPolicy>();
    const auto before = planning_policy(draft.inventory);
    auto policy = before;
    if (auto changed = change(wanted, policy); !changed) return forward(changed);
    if (policy == before) return policy;
    if (stored.empty()) {
      policy.id = make_id<model::PolicyId>(draft.random());
      draft.edit.create(policy);
    } else {
      draft.edit.update(stored.front(), policy);
    }
    draft.event("policy.changed", "policy", policy.id.str(), "policy", "The planner's policy was changed");
    return policy;
  });
}

}  // namespace bridgehead::reconcile
