// Pools.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/pool_use.h"

namespace bridgehead::control_api {
namespace {

// Adds "use": what its guests read and write now.
nlohmann::json view_with_use(const PoolUse& use, const model::Pool& pool) {
  auto json = view_of(pool);
  json["use"] = {{"storage", use.storage(pool.id)}};
  return json;
}

}  // namespace

Result<http::Response> list_pools(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  const PoolUse use(services);
  return list_answer(revision, services.inventory().all<model::Pool>(),
                     [&](std::string& out, const state::Record<model::Pool>& record) {
                       out += dump(view_with_use(use, record->value));
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
  return json_answer(200, view_with_use(PoolUse(services), (*pool)->value));
}

Result<http::Response> delete_pool(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::remove_pool(services.commander, *caller, call.parameters[0]);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "pool", view_of(accepted->object), accepted->operation);
}

}  // namespace bridgehead::control_api
