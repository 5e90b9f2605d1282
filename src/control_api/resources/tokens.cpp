// Access tokens of people and programs.
#include "pki/tokens.h"
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {

Result<http::Response> list_tokens(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  return list_answer(revision, services.inventory().all<model::Token>(),
                     [](std::string& out, const state::Record<model::Token>& record) {
                       out += dump(view_of(record->value));
                       return true;
                     });
}

Result<http::Response> create_token_secret(Services& services, const Call& call) {
  auto request = read_create_token(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const std::string secret = pki::make_secret(services.commander.random);
  request->secret_sha256 = pki::sha256_hex(secret);
  const auto token = reconcile::create_token(services.commander, *caller, *request);
  if (!token) return forward(token);
  nlohmann::json body = {{"token", view_of(*token)}};
  if (caller->dry_run) {
    body["dry_run"] = true;
    return json_answer(200, body);
  }
  body["secret"] = pki::format_access_token(token->id, secret);
  auto answer = json_answer(201, body);
  answer.with("Location", location_of("tokens", token->id.str())).with("Cache-Control", "no-store");
  return answer;
}

Result<http::Response> delete_token_by_name(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto token = reconcile::delete_token(services.commander, *caller, call.parameters[0]);
  if (!token) return forward(token);
  nlohmann::json body = {{"token", view_of(*token)}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

Result<http::Response> get_whoami(Services& services, const Call& call) {
  return json_answer(200, describe_actor(services, call.actor));
}

}  // namespace bridgehead::control_api
