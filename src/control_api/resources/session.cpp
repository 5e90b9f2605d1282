// Logging in and out of the dashboard. There is no state to it: the cookie holds the token, so that it lasts through a
// manager's restart and ends with the token.
#include "control_api/bodies/requests.h"
#include "control_api/pages/own_page.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {
namespace {

// Another site must neither log a person in (as somebody else) nor out.
Status check_origin(const Call& call) {
  if (from_own_page(call.request())) return {};
  return fail_with_hint(
      ErrorCode::permission_denied, "a session is begun and ended by the manager's own page only",
      "Programs send 'Authorization: Bearer bh_...'. Behind a proxy: it must pass the Host header on.");
}

}  // namespace

Result<http::Response> begin_session(Services& services, const Call& call) {
  if (const auto own = check_origin(call); !own) return forward(own);
  const auto token = read_session_token(call.body);
  if (!token) return forward(token);
  const auto& request = call.request();
  const auto actor = services.authenticator.authenticate("Bearer " + *token, request.remote_address);
  if (!actor) {
    const bool throttled = actor.error().code == ErrorCode::resource_exhausted;
    return problem(actor.error(), request.target.path, throttled ? 429 : 0);
  }
  auto answer = json_answer(200, describe_actor(services, *actor));
  answer.with("Set-Cookie", session_cookie(*token)).with("Cache-Control", "no-store");
  return answer;
}

Result<http::Response> end_session(Services&, const Call& call) {
  if (const auto own = check_origin(call); !own) return forward(own);
  auto answer = json_answer(200, nlohmann::json{{"ended", true}});
  answer.with("Set-Cookie", ended_session_cookie());
  return answer;
}

}  // namespace bridgehead::control_api
