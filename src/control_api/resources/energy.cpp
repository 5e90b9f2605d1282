// What nodes and guests have taken, what was saved by hosts that are off, and what machines take by their model.
#include <algorithm>

#include "base/length.h"
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {
namespace {

constexpr std::chrono::hours kLeast{1};
constexpr std::chrono::days kMost{731};  // as long as the ledger keeps anything

nlohmann::json view_of(const model::KilowattHours& used) {
  return {{"kwh", used.sum()}, {"kwh_bmc", used.bmc}, {"kwh_rapl", used.rapl}, {"kwh_model", used.model}};
}

nlohmann::json view_of(const model::NodeEnergy& node) {
  auto json = view_of(node.used);
  json["unknown_hours"] = node.unknown;
  json["off_hours"] = node.off;
  json["saved_kwh"] = node.saved;
  json["promised_kwh"] = node.promised;
  return json;
}

nlohmann::json view_of(const model::TimeSpan& span) {
  return {{"from", to_rfc3339(span.from)}, {"to", to_rfc3339(span.to)}};
}

void sort_by_name(nlohmann::json& list) {
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.at("name") < b.at("name"); });
}

nlohmann::json view_of(const reconcile::EnergyReport& report) {
  nlohmann::json json = view_of(report.span);
  for (const auto* list : {"nodes", "guests", "days", "away", "plans"}) json[list] = nlohmann::json::array();
  for (const auto& [id, node] : report.nodes) {
    auto one = view_of(node);
    one["node"] = id.str();
    one["name"] = node.name;
    json["nodes"].push_back(std::move(one));
  }
  for (const auto& [id, guest] : report.guests) {
    auto one = view_of(guest.used);
    one["vm"] = id.str();
    one["name"] = guest.name;
    json["guests"].push_back(std::move(one));
  }
  sort_by_name(json["nodes"]);
  sort_by_name(json["guests"]);
  for (const auto& day : report.days) {
    auto one = view_of(day.all);
    one["day"] = day.day;
    json["days"].push_back(std::move(one));
  }
  for (const auto& away : report.away) json["away"].push_back(view_of(away));
  for (const auto& plan : report.plans) {
    json["plans"].push_back({{"plan", plan.id.str()},
                             {"name", plan.name},
                             {"finished", to_rfc3339(plan.finished)},
                             {"watts_before", plan.watts_before},
                             {"watts_after", plan.watts_after},
                             {"off", plan.off},
                             {"on", plan.on}});
  }
  return json;
}

nlohmann::json view_of(const model::PowerProfile& profile) {
  return {{"machine", profile.id.str()},
          {"idle_watts", profile.idle_watts},
          {"busy_watts", profile.busy_watts},
          {"off_watts", profile.off_watts},
          {"created_by", profile.created_by}};
}

Result<http::Response> profile_answer(const reconcile::Caller& caller, const Result<model::PowerProfile>& profile) {
  if (!profile) return forward(profile);
  nlohmann::json body = {{"profile", view_of(*profile)}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

}  // namespace

// Machines that nodes are, with a profile or without, and those that have one before any node is.
Result<http::Response> list_power_profiles(Services& services, const Call&) {
  const auto& inventory = services.inventory();
  std::map<std::string, std::pair<model::PowerProfile, std::size_t>> machines;
  for (const auto& profile : inventory.all<model::PowerProfile>()) {
    machines[profile->value.id.str()].first = profile->value;
  }
  for (const auto& node : inventory.all<model::Node>()) {
    const auto& machine = node->value.facts.machine;
    auto& [profile, nodes] = machines[machine];
    profile.id = model::PowerProfileId(machine);
    ++nodes;
  }
  nlohmann::json body = {{"items", nlohmann::json::array()}};
  for (const auto& [machine, found] : machines) {
    auto one = view_of(found.first);
    one["nodes"] = found.second;
    body["items"].push_back(std::move(one));
  }
  return json_answer(200, body);
}

Result<http::Response> put_power_profile(Services& services, const Call& call) {
  auto request = read_set_power_profile(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  request->machine = call.parameters[0];
  return profile_answer(*caller, reconcile::set_power_profile(services.commander, *caller, *request));
}

Result<http::Response> delete_power_profile(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return profile_answer(*caller, reconcile::remove_power_profile(services.commander, *caller, call.parameters[0]));
}

Result<http::Response> get_energy(Services& services, const Call& call) {
  const auto last = parse_length(call.request().query("last").value_or("30d"));
  if (!last) return fail_with_hint(ErrorCode::invalid_argument, "last: " + last.error().message, last.error().hint);
  if (*last < kLeast || *last > kMost) return fail(ErrorCode::invalid_argument, "last: must be from 1h to 731d");
  if (services.energy == nullptr) {
    return fail(ErrorCode::failed_precondition, "this manager doesn't add up what nodes take");
  }
  const auto now = services.commander.clock.now();
  const auto report = services.energy->report(now - std::chrono::duration_cast<std::chrono::milliseconds>(*last));
  if (!report) return forward(report);
  return json_answer(200, view_of(*report));
}

}  // namespace bridgehead::control_api
