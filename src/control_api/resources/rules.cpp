// Rules and the policy: what the cluster's owner wants of the planner.
#include "reconcile/rules.h"
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {
namespace {

Result<http::Response> rule_answer(Services& services, const reconcile::Caller& caller, unsigned status,
                                   const Result<model::Rule>& rule) {
  if (!rule) return forward(rule);
  nlohmann::json body = {{"rule", view_of(*rule, services.inventory())}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(caller.dry_run ? 200 : status, body);
}

}  // namespace

Result<http::Response> list_rules(Services& services, const Call&) {
  const auto& inventory = services.inventory();
  const auto revision = inventory.revision();
  return list_answer(revision, inventory.all<model::Rule>(),
                     [&](std::string& out, const state::Record<model::Rule>& record) {
                       out += dump(view_of(record->value, inventory));
                       return true;
                     });
}

Result<http::Response> create_rule(Services& services, const Call& call) {
  const auto request = read_add_rule(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return rule_answer(services, *caller, 201, reconcile::add_rule(services.commander, *caller, *request));
}

Result<http::Response> get_rule(Services& services, const Call& call) {
  const auto rule = reconcile::resolve<model::Rule>(services.inventory(), call.parameters[0]);
  if (!rule) return forward(rule);
  return json_answer(200, view_of((*rule)->value, services.inventory()));
}

Result<http::Response> delete_rule(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return rule_answer(services, *caller, 200, reconcile::remove_rule(services.commander, *caller, call.parameters[0]));
}

Result<http::Response> get_policy(Services& services, const Call&) {
  return json_answer(200, view_of(reconcile::planning_policy(services.inventory())));
}

Result<http::Response> patch_policy(Services& services, const Call& call) {
  const auto change = read_policy_change(call.body);
  if (!change) return forward(change);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto policy = reconcile::set_policy(services.commander, *caller, *change);
  if (!policy) return forward(policy);
  nlohmann::json body = {{"policy", view_of(*policy)}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

}  // namespace bridgehead::control_api
