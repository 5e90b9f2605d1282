// Profiles: boot settings that nodes share. "default" is always there, stored or not.
#include <algorithm>

#include "base/ids.h"
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {
namespace {

Result<http::Response> profile_answer(const reconcile::Caller& caller, const Result<model::Profile>& profile) {
  if (!profile) return forward(profile);
  nlohmann::json body = {{"profile", view_of(*profile)}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

}  // namespace

Result<http::Response> list_profiles(Services& services, const Call&) {
  const auto& inventory = services.inventory();
  const auto revision = inventory.revision();
  std::vector<model::Profile> profiles;
  for (const auto& record : inventory.all<model::Profile>()) profiles.push_back(record->value);
  const auto after = std::find_if(profiles.begin(), profiles.end(), [](const auto& p) { return p.name >= "default"; });
  if (after == profiles.end() || after->name != "default") {
    auto standard = reconcile::find_profile(inventory, "");
    if (!standard) return forward(standard);
    profiles.insert(after, std::move(*standard));
  }
  return list_answer(revision, profiles, [](std::string& out, const model::Profile& profile) {
    out += dump(view_of(profile));
    return true;
  });
}

Result<http::Response> get_profile(Services& services, const Call& call) {
  const auto& wanted = call.parameters[0];
  if (const auto by_id = services.inventory().find<model::Profile>(model::ProfileId(wanted))) {
    return json_answer(200, view_of(by_id->value));
  }
  const auto profile = reconcile::find_profile(services.inventory(), wanted);
  if (!profile) return forward(profile);
  return json_answer(200, view_of(*profile));
}

Result<http::Response> put_profile(Services& services, const Call& call) {
  auto request = read_profile(call.body, services.secrets);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  request->name = call.parameters[0];
  if (const auto by_id = services.inventory().find<model::Profile>(model::ProfileId(request->name))) {
    request->name = by_id->value.name;
  }
  return profile_answer(*caller, reconcile::set_profile(services.commander, *caller, *request));
}

Result<http::Response> delete_profile_by_name(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return profile_answer(*caller, reconcile::delete_profile(services.commander, *caller, call.parameters[0]));
}

}  // namespace bridgehead::control_api
