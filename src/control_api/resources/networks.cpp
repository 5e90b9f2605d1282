// Networks that guests' NICs plug into.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {

Result<http::Response> list_networks(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  return list_answer(revision, services.inventory().all<model::Network>(),
                     [](std::string& out, const state::Record<model::Network>& record) {
                       out += dump(view_of(record->value));
                       return true;
                     });
}

Result<http::Response> create_network_record(Services& services, const Call& call) {
  const auto request = read_create_network(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::create_network(services.commander, *caller, *request);
  if (!accepted) return forward(accepted);
  auto answer = accepted_answer(*caller, "network", view_of(accepted->object), accepted->operation);
  if (!caller->dry_run) answer.with("Location", location_of("networks", accepted->object.id.str()));
  return answer;
}

Result<http::Response> get_network(Services& services, const Call& call) {
  const auto network = reconcile::resolve<model::Network>(services.inventory(), call.parameters[0]);
  if (!network) return forward(network);
  return json_answer(200, view_of((*network)->value));
}

Result<http::Response> delete_network_by_name(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::delete_network(services.commander, *caller, call.parameters[0]);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "network", view_of(accepted->object), accepted->operation);
}

}  // namespace bridgehead::control_api
