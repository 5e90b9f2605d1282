// Agents that came with the Debian package get another version of it.
#include "reconcile/commands/upgrades.h"
#include "control_api/bodies/power_requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {

Result<http::Response> post_agents_upgrade(Services& services, const Call& call) {
  if (services.upgrades == nullptr) return fail(ErrorCode::unsupported, "this manager upgrades no agents");
  const auto request = read_upgrade(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto operation = reconcile::upgrade_nodes(services.commander, *caller, *services.upgrades, *request);
  if (!operation) return forward(operation);
  nlohmann::json body = {{"operation", view_of(*operation)}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(caller->dry_run ? 200 : 202, body);
}

}  // namespace bridgehead::control_api
