// Operations: history, waiting for one, cancelling.
#include "control_api/bodies/requests.h"
#include "control_api/events/event_hub.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {

Result<http::Response> list_operations(Services& services, const Call& call) {
  const auto& inventory = services.inventory();
  std::optional<model::OperationState> state;
  if (const auto text = call.request().query("state")) {
    const auto parsed = model::parse_enum<model::OperationState>(*text);
    if (!parsed) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("state: {}", parsed.error().message),
                            parsed.error().hint);
    }
    state = *parsed;
  }
  const auto target = call.request().query("target");
  const auto limit = query_number(call, "limit", 100, 100'000);
  if (!limit) return forward(limit);
  const auto revision = inventory.revision();
  std::size_t taken = 0;
  return list_answer(revision, inventory.all<model::Operation>(),
                     [&](std::string& out, const state::Record<model::Operation>& record) {
                       const auto& operation = record->value;
                       if (taken >= *limit || (state && operation.state != *state)) return false;
                       if (target && operation.target != *target && operation.target_name != *target) return false;
                       ++taken;
                       out += dump(view_of(with_progress(operation, services.progress)));
                       return true;
                     });
}

void get_operation(Services& services, const std::shared_ptr<Call>& call) {
  const auto refuse = [&](const Error& error) { call->exchange->respond(problem(error, call->request().target.path)); };
  const auto wait = query_number(*call, "wait_seconds", 0, 3600);
  if (!wait) return refuse(wait.error());
  const model::OperationId id(call->parameters[0]);
  const auto record = services.inventory().find<model::Operation>(id);
  if (!record) return refuse({ErrorCode::not_found, fmt::format("there is no operation '{}'", id), {}});
  auto seen = with_progress(record->value, services.progress);
  if (*wait == 0 || seen.terminal()) return call->exchange->respond(json_answer(200, view_of(seen)));
  const auto longest = std::min(std::chrono::seconds(*wait), services.config.longest_wait);
  services.events.wait_for(
      id, std::chrono::steady_clock::now() + longest,
      [seen = std::move(seen)](const model::Operation& now) { return now.terminal() || now != seen; },
      [call](const std::optional<model::Operation>& now) {
        if (now) return call->exchange->respond(json_answer(200, view_of(*now)));
        call->exchange->respond(problem({ErrorCode::not_found, "the operation has been removed meanwhile", {}},
                                        call->request().target.path));
      });
}

Result<http::Response> cancel_operation_by_id(Services& services, const Call& call) {
  if (const auto nothing = read_nothing(call.body); !nothing) return forward(nothing);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto operation = reconcile::cancel_operation(services.commander, *caller, call.parameters[0]);
  if (!operation) return forward(operation);
  nlohmann::json body = {{"operation", view_of(with_progress(*operation, services.progress))}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(caller->dry_run ? 200 : 202, body);
}

}  // namespace bridgehead::control_api
