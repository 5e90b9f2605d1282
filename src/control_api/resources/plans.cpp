// Plans: what would be done now, what was done, and the order to do it.
#include <algorithm>

#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "reconcile/commands/plans.h"

namespace bridgehead::control_api {

Result<http::Response> get_plan_now(Services& services, const Call&) {
  return json_answer(200, view_of(reconcile::propose_plan(services.commander).plan));
}

Result<http::Response> post_what_if(Services& services, const Call& call) {
  const auto request = read_what_if(call.body);
  if (!request) return forward(request);
  const auto plan = reconcile::plan_what_if(services.commander, *request);
  if (!plan) return forward(plan);
  return json_answer(200, view_of(*plan));
}

Result<http::Response> list_plans(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  auto plans = services.inventory().all<model::Plan>();
  std::sort(plans.begin(), plans.end(),
            [](const auto& a, const auto& b) { return a->value.created > b->value.created; });
  return list_answer(revision, plans, [](std::string& out, const state::Record<model::Plan>& record) {
    out += dump(view_of(record->value));
    return true;
  });
}

Result<http::Response> get_plan(Services& services, const Call& call) {
  const auto plan = reconcile::find_plan(services.commander, call.parameters[0]);
  if (!plan) return forward(plan);
  return json_answer(200, view_of(*plan));
}

Result<http::Response> get_plan_input(Services& services, const Call& call) {
  const auto basis = reconcile::find_basis(services.commander, call.parameters[0]);
  if (!basis) return forward(basis);
  return json_answer(200, reconcile::encode_basis(*basis) + "\n");
}

Result<http::Response> get_plan_replay(Services& services, const Call& call) {
  const auto replay = reconcile::replay_plan(services.commander, call.parameters[0]);
  if (!replay) return forward(replay);
  return json_answer(200, nlohmann::json{{"same", replay->same}, {"plan", view_of(replay->plan)}});
}

Result<http::Response> apply_plan_by_id(Services& services, const Call& call) {
  if (const auto nothing = read_nothing(call.body); !nothing) return forward(nothing);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::apply_plan(services.commander, *caller, call.parameters[0]);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "plan", view_of(accepted->object), accepted->operation);
}

Result<http::Response> cancel_plan_by_id(Services& services, const Call& call) {
  if (const auto nothing = read_nothing(call.body); !nothing) return forward(nothing);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto operation = reconcile::cancel_plan(services.commander, *caller, call.parameters[0]);
  if (!operation) return forward(operation);
  nlohmann::json body = {{"operation", view_of(*operation)}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(caller->dry_run ? 200 : 202, body);
}

}  // namespace bridgehead::control_api
