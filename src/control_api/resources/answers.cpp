#include "control_api/resources/answers.h"

#include <charconv>

#include "model/enum_names.h"
#include "pki/tokens.h"

namespace bridgehead::control_api {

http::Response json_answer(unsigned status, std::string body) {
  http::Response response{.status = status, .body = std::move(body)};
  response.with("Content-Type", "application/json");
  return response;
}

http::Response json_answer(unsigned status, const nlohmann::json& body) {
  return json_answer(status, dump(body) + "\n");
}

Result<bool> query_flag(const Call& call, std::string_view name, bool otherwise) {
  const auto text = call.request().query(name);
  if (!text) return otherwise;
  if (*text == "true") return true;
  if (*text == "false") return false;
  return fail(ErrorCode::invalid_argument, "{}: must be true or false", name);
}

Result<std::uint64_t> query_number(const Call& call, std::string_view name, std::uint64_t otherwise,
                                   std::uint64_t most) {
  const auto text = call.request().query(name);
  if (!text) return otherwise;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || text->empty() || value > most) {
    return fail(ErrorCode::invalid_argument, "{}: must be a whole number between 0 and {}", name, most);
  }
  return value;
}

Result<reconcile::Caller> caller_of(const Call& call) {
  reconcile::Caller caller;
  caller.actor = call.actor.name;
  const auto dry_run = query_flag(call, "dry_run", false);
  if (!dry_run) return forward(dry_run);
  caller.dry_run = *dry_run;
  const auto& request = call.request();
  const auto key = request.header("idempotency-key");
  if (key.empty() || request.method != http::Method::post) return caller;
  if (key.size() > 255) return fail(ErrorCode::invalid_argument, "the Idempotency-Key is longer than 255 characters");
  // The path as sent and the token's id can't contain a line break, so that no two keys give the same text.
  caller.idempotency_key = pki::sha256_hex(
      fmt::format("{}\n{}\n{}\n{}", call.actor.id.str(), to_string(request.method), request.target.path, key));
  caller.request_digest = pki::sha256_hex(call.body);
  return caller;
}

http::Response accepted_answer(const reconcile::Caller& caller, std::string_view kind, nlohmann::json object,
                               const model::Operation& operation) {
  nlohmann::json body = {{"operation", view_of(operation)}, {std::string(kind), std::move(object)}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(caller.dry_run ? 200 : 202, body);
}

nlohmann::json describe_actor(const Services& services, const Actor& actor) {
  const auto token = services.inventory().find<model::Token>(actor.id);
  nlohmann::json body = {
      {"id", actor.id.str()}, {"name", actor.name}, {"role", model::to_string(actor.role)}, {"expires", nullptr}};
  if (token && token->value.expires) body["expires"] = to_rfc3339(*token->value.expires);
  return body;
}

}  // namespace bridgehead::control_api
