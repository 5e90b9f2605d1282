#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "reconcile/planning/basis.h"

namespace bridgehead::reconcile {
namespace {

using scheduler::kNowhere;

void append(std::string& text, const std::string& what) { text += (text.empty() ? "" : "; ") + what; }

template <typename T>
std::unordered_map<std::string_view, const T*> by_id(const std::vector<T>& all) {
  std::unordered_map<std::string_view, const T*> index;
  for (const auto& one : all) index.emplace(one.id, &one);
  return index;
}

std::string host_name(const scheduler::Cluster& cluster, scheduler::HostIndex host) {
  return host < cluster.hosts.size() ? cluster.hosts[host].name : std::string("none");
}

// The rule's terms, without its members: those come and go.
std::string terms(const scheduler::Cluster& cluster, const scheduler::Rule& rule) {
  auto text =
      fmt::format("{} {} {} {}", static_cast<int>(rule.kind), static_cast<int>(rule.domain), rule.hard, rule.weight);
  for (const auto host : rule.hosts) text += " " + cluster.hosts[host].id;
  return text;
}

void compare_rules(const PlanBasis& then, const PlanBasis& now, std::string& changed) {
  std::map<std::string, std::string> before;
  std::map<std::string, std::string> after;
  for (const auto& rule : then.cluster.rules) before[rule.name] = terms(then.cluster, rule);
  for (const auto& rule : now.cluster.rules) after[rule.name] = terms(now.cluster, rule);
  for (const auto& [name, text] : before) {
    const auto found = after.find(name);
    if (found == after.end()) {
      append(changed, fmt::format("rule '{}' is gone", name));
    } else if (found->second != text) {
      append(changed, fmt::format("rule '{}' was changed", name));
    }
  }
  for (const auto& [name, text] : after) {
    if (!before.contains(name)) append(changed, fmt::format("rule '{}' is new", name));
  }
}

bool same_policy(const scheduler::Policy& a, const scheduler::Policy& b) {
  const auto terms = [](const scheduler::Policy& p) {
    return std::tuple(p.repair, p.balance, p.consolidate, p.power, p.power_at_night_only, p.night_from, p.night_to,
                      p.evenness, p.weights, p.ceiling, p.move_price, p.most_moves, p.failures, p.moves_per_host);
  };
  return terms(a) == terms(b);
}

}  // namespace

model::Plan plan_record(const scheduler::Plan& plan, const PlanBasis& basis) {
  const auto& cluster = basis.cluster;
  model::Plan record;
  record.created = basis.now;
  record.before = plan.before;
  record.after = plan.after;
  record.bound = plan.bound;
  record.gap = plan.gap;
  record.watts_before = plan.watts_before;
  record.watts_after = plan.watts_after;
  record.evaluated = plan.evaluated;
  record.seed = plan.seed;
  record.moves_per_node = basis.policy.moves_per_host;
  for (const auto& action : plan.actions) {
    auto& made = record.actions.emplace_back();
    made.kind = action.kind;
    made.purpose = action.purpose;
    if (action.guest != kNowhere) {
      made.vm = model::VmId(cluster.guests[action.guest].id);
      made.vm_name = cluster.guests[action.guest].name;
    }
    if (action.from != kNowhere) {
      made.from = model::NodeId(cluster.hosts[action.from].id);
      made.from_name = cluster.hosts[action.from].name;
    }
    if (action.to != kNowhere) {
      made.to = model::NodeId(cluster.hosts[action.to].id);
      made.to_name = cluster.hosts[action.to].name;
    }
    made.after = action.after;
    made.gain = action.gain;
    made.seconds = action.duration.count();
    made.reason = action.reason;
  }
  for (const auto& conflict : plan.conflicts) {
    auto& made = record.conflicts.emplace_back();
    made.reason = conflict.reason;
    for (const auto rule : conflict.rules) made.rules.push_back(cluster.rules[rule].name);
    for (const auto guest : conflict.guests) made.vms.push_back(cluster.guests[guest].name);
    for (const auto host : conflict.hosts) made.nodes.push_back(cluster.hosts[host].name);
  }
  return record;
}

std::string what_changed(const model::Plan& plan, const PlanBasis& then, const PlanBasis& now) {
  std::string changed;
  const auto guests = by_id(now.cluster.guests);
  const auto hosts = by_id(now.cluster.hosts);
  std::set<std::string> told;
  std::set<model::NodeId> woken;
  for (const auto& action : plan.actions) {
    if (action.kind == model::PlanActionKind::wake) woken.insert(action.to);
  }
  for (const auto& action : plan.actions) {
    if (const auto host = hosts.find(action.to.str()); !action.to.empty() && told.insert(action.to.str()).second) {
      if (host == hosts.end()) {
        append(changed, fmt::format("node '{}' is gone", action.to_name));
      } else if ((!host->second->ready && !woken.contains(action.to)) || !host->second->open) {
        append(changed, fmt::format("node '{}': {}", action.to_name, host->second->why_not));
      }
    }
    if (action.vm.empty()) continue;
    const auto guest = guests.find(action.vm.str());
    if (guest == guests.end()) {
      append(changed, fmt::format("VM '{}' doesn't run any more", action.vm_name));
    } else if (const auto where = host_name(now.cluster, guest->second->host); where != action.from_name) {
      append(changed, fmt::format("VM '{}' is on node '{}' now", action.vm_name, where));
    } else if (!guest->second->may_move) {
      append(changed, fmt::format("VM '{}' can't move: {}", action.vm_name, guest->second->why_not));
    }
  }
  compare_rules(then, now, changed);
  if (!same_policy(then.policy, now.policy)) append(changed, "the policy was changed");
  return changed;
}

}  // namespace bridgehead::reconcile
