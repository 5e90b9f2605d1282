// Pools.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {

Result<http::Response> list_pools(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  return list_answer(revision, services.inventory().all<model::Pool>(),
                     [](std::string& out, const state::Record<model::Pool>& record) {
                       out += dump(view_of(record->value));
                       return true;
                     });
}

Result<http::Response> create_pool(Services& services, const Call& call) {
  const auto request = read_add_pool(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::add_pool(services.commander, *caller, *request);
  if (!accepted) return forward(accepted);
  auto answer = accepted_answer(*caller, "pool", view_of(accepted->object), accepted->operation);
  if (!caller->dry_run) answer.with("Location", location_of("pools", accepted->object.id.str()));
  return answer;
}

Result<http::Response> get_pool(Services& services, const Call& call) {
  const auto pool = reconcile::resolve<model::Pool>(services.inventory(), call.parameters[0]);
  if (!pool) return forward(pool);
  return json_answer(200, view_of((*pool)->value));
}

Result<http::Response> delete_pool(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::remove_pool(services.commander, *caller, call.parameters[0]);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "pool", view_of(accepted->object), accepted->operation);
}

}  // namespace bridgehead::control_api
