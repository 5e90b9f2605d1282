#include <algorithm>
#include <cmath>

#include "base/ids.h"
#include "model/enum_names.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/planning.h"
#include "reconcile/commands/validate.h"
#include "reconcile/rules.h"

namespace bridgehead::reconcile {
namespace {

using model::RuleKind;
using validate::wrong;

bool about_nodes(RuleKind kind) { return kind == RuleKind::on_hosts || kind == RuleKind::off_hosts; }
bool has_domain(RuleKind kind) { return kind == RuleKind::together || kind == RuleKind::apart; }

Status check_plain(const AddRule& request) {
  if (auto checked = validate::name("rule", request.name); !checked) return checked;
  if (auto checked = validate::labels(request.labels); !checked) return checked;
  if (request.vms.empty() && request.labels.empty()) {
    return wrong("vms", "a rule needs guests: name some, or give labels that they have");
  }
  const auto word = model::to_string(request.kind);
  if (about_nodes(request.kind) && request.nodes.empty()) return wrong("nodes", "a rule '{}' needs nodes", word);
  if (!about_nodes(request.kind) && !request.nodes.empty()) return wrong("nodes", "a rule '{}' has none", word);
  if (!has_domain(request.kind) && request.domain != model::FailureDomain::host) {
    return wrong("domain", "a rule '{}' has none", word);
  }
  if (request.weight && request.hard) return wrong("weight", "only a soft rule has one");
  if (request.weight && !(std::isfinite(*request.weight) && *request.weight > 0 && *request.weight <= 1e6)) {
    return wrong("weight", "must be more than 0 and at most 1000000");
  }
  const bool pairs = has_domain(request.kind);
  if (pairs && request.labels.empty() && request.vms.size() < 2) {
    return wrong("vms", "a rule '{}' is about two guests at least", word);
  }
  return {};
}

template <typename T, typename Id>
Status resolve_all(const state::Inventory& inventory, std::string_view field, const std::vector<std::string>& names,
                   std::vector<Id>& out) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto record = resolve<T>(inventory, names[i]);
    if (!record) return validate::in_field(fmt::format("{}[{}]", field, i), record.error());
    const auto& id = (*record)->value.id;
    if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
  }
  return {};
}

}  // namespace

Result<model::Rule> add_rule(Commander& commander, const Caller& caller, const AddRule& request) {
  if (auto checked = check_plain(request); !checked) return forward(checked);
  return run<model::Rule>(commander, caller, [&](Draft& draft) -> Result<model::Rule> {
    if (auto checked = check_name_free<model::Rule>(draft.inventory, request.name); !checked) return forward(checked);
    model::Rule rule{.id = make_id<model::RuleId>(draft.random()),
                     .name = request.name,
                     .kind = request.kind,
                     .domain = request.domain,
                     .hard = request.hard,
                     .weight = request.weight.value_or(1),
                     .labels = request.labels,
                     .created = draft.now};
    if (auto found = resolve_all<model::Vm>(draft.inventory, "vms", request.vms, rule.vms); !found)
      return forward(found);
    if (auto found = resolve_all<model::Node>(draft.inventory, "nodes", request.nodes, rule.nodes); !found)
      return forward(found);
    draft.edit.create(rule);
    draft.event("rule.created", "rule", rule.id.str(), rule.name,
                fmt::format("Rule '{}' ({}) holds for {}", rule.name, model::to_string(rule.kind),
                            describe_members(draft.inventory, rule)));
    return rule;
  });
}

Result<model::Rule> remove_rule(Commander& commander, const Caller& caller, const std::string& reference) {
  return run<model::Rule>(commander, caller, [&](Draft& draft) -> Result<model::Rule> {
    const auto record = resolve<model::Rule>(draft.inventory, reference);
    if (!record) return forward(record);
    const auto& rule = (*record)->value;
    draft.edit.remove(*record);
    draft.event("rule.removed", "rule", rule.id.str(), rule.name, fmt::format("Rule '{}' is gone", rule.name));
    return rule;
  });
}

}  // namespace bridgehead::reconcile
