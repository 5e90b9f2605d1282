#include "scheduler/placement_rules.h"

namespace bridgehead::scheduler {
namespace {

using model::RuleKind;

// An unnamed rack or power feed is the node's own.
std::string domain_of(const NodeSnapshot& node, model::FailureDomain domain) {
  const auto& name = domain == model::FailureDomain::rack         ? node.rack
                     : domain == model::FailureDomain::power_feed ? node.power_feed
                                                                  : node.id.str();
  return name.empty() ? node.id.str() : name;
}

bool is_about_domains(const RuleSnapshot& rule) {
  return rule.kind == RuleKind::together || rule.kind == RuleKind::apart;
}

}  // namespace

PlacementRules::PlacementRules(const ClusterSnapshot& cluster, const std::set<std::size_t>& member) {
  for (std::size_t i = 0; i < cluster.rules.size(); ++i) {
    const auto& rule = cluster.rules[i];
    const bool one_of_it = member.contains(i);
    // A rule is its members' business alone, but for the nodes that exclusive guests have to themselves.
    if (!one_of_it && rule.kind != RuleKind::exclusive) continue;
    auto& prepared = rules_.emplace_back(Prepared{.rule = &rule, .member = one_of_it, .domains = {}});
    if (!is_about_domains(rule)) continue;
    for (const auto& node : cluster.nodes) {
      if (rule.guests.contains(node.id)) prepared.domains.insert(domain_of(node, rule.domain));
    }
  }
}

std::optional<std::string> PlacementRules::refuse(const NodeSnapshot& node) const {
  for (const auto& [rule, member, domains] : rules_) {
    const auto found = rule->guests.find(node.id);
    const auto there = found == rule->guests.end() ? 0 : found->second;
    switch (rule->kind) {
      case RuleKind::together:
        if (!domains.empty() && !domains.contains(domain_of(node, rule->domain))) {
          return fmt::format("away from the other guests of rule '{}'", rule->name);
        }
        break;
      case RuleKind::apart:
        if (domains.contains(domain_of(node, rule->domain))) {
          return fmt::format("beside another guest of rule '{}'", rule->name);
        }
        break;
      case RuleKind::on_hosts:
        if (!rule->nodes.contains(node.id)) return fmt::format("not among the nodes of rule '{}'", rule->name);
        break;
      case RuleKind::off_hosts:
        if (rule->nodes.contains(node.id)) return fmt::format("kept free of it by rule '{}'", rule->name);
        break;
      case RuleKind::exclusive:
        if (member ? node.allocated.guests > there : there != 0) {
          return fmt::format("{} by rule '{}'", member ? "not for it alone, which is asked" : "another guest's alone",
                             rule->name);
        }
        break;
    }
  }
  return {};
}

std::map<model::NodeId, std::string> forbidden_nodes(const ClusterSnapshot& cluster,
                                                     const std::set<std::size_t>& rules) {
  const PlacementRules prepared(cluster, rules);
  std::map<model::NodeId, std::string> forbidden;
  for (const auto& node : cluster.nodes) {
    if (const auto refused = prepared.refuse(node)) {
      forbidden.emplace(node.id, fmt::format("node '{}' is {}", node.name, *refused));
    }
  }
  return forbidden;
}

Status check_rules(const ClusterSnapshot& cluster, const NodeSnapshot& node, const std::set<std::size_t>& rules) {
  const auto refused = PlacementRules(cluster, rules).refuse(node);
  if (!refused) return {};
  return fail_with_hint(ErrorCode::failed_precondition, fmt::format("node '{}' is {}", node.name, *refused),
                        "See the rules: bh rule list");
}

}  // namespace bridgehead::scheduler
