#include "power/redfish_driver.h"

#include <algorithm>

namespace bridgehead::power {
namespace {

using nlohmann::json;

constexpr std::size_t kMostSystems = 64;

std::string text_of(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::string> texts_of(const json& object, const char* name) {
  std::vector<std::string> texts;
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || !found->is_array()) return texts;
  for (const auto& entry : *found) {
    if (entry.is_string()) texts.push_back(entry.get<std::string>());
  }
  return texts;
}

bool has(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

Result<std::string> RedfishDriver::find_system(const Attempt& attempt) {
  if (!system_.empty()) return system_;
  const auto& wanted = client_.config().system;
  const auto root = client_.get(kServiceRoot, attempt);
  if (!root) return forward(root);
  const auto systems = path_of_link(root->body.value("Systems", json()));
  if (!systems) return forward(systems);
  const auto list = client_.get(*systems, attempt);
  if (!list) return forward(list);
  const auto members = list->body.value("Members", json::array());
  if (!members.is_array() || members.empty() || members.size() > kMostSystems) {
    return fail(ErrorCode::io_error, "the BMC at {} lists no systems", client_.config().address);
  }
  std::vector<std::string> ids;
  for (const auto& member : members) {
    const auto path = path_of_link(member);
    if (!path) return forward(path);
    if (wanted.empty() ? members.size() == 1 : *path == wanted || path->substr(path->rfind('/') + 1) == wanted) {
      return system_ = *path;
    }
    ids.push_back(path->substr(path->rfind('/') + 1));
  }
  // By its UUID, which is in the system itself.
  for (const auto& member : wanted.empty() ? json::array() : members) {
    const auto path = path_of_link(member);
    const auto system = client_.get(*path, attempt);
    if (!system) return forward(system);
    if (text_of(system->body, "UUID") == wanted || text_of(system->body, "Id") == wanted) return system_ = *path;
  }
  return fail_with_hint(ErrorCode::invalid_argument,
                        fmt::format("the BMC at {} {}", client_.config().address,
                                    wanted.empty() ? "has several systems" : fmt::format("has no system {}", wanted)),
                        fmt::format("Set the option system to one of: {}.", fmt::join(ids, ", ")));
}

Result<json> RedfishDriver::read_system(const Attempt& attempt) {
  const auto path = find_system(attempt);
  if (!path) return forward(path);
  auto answer = client_.get(*path, attempt);
  if (!answer) {
    if (answer.error().code == ErrorCode::not_found) system_.clear();
    return forward(answer);
  }
  date_ = answer->date;
  return std::move(answer->body);
}

Result<PowerState> RedfishDriver::read(const Attempt& attempt) {
  const auto system = read_system(attempt);
  if (!system) return forward(system);
  const auto state = text_of(*system, "PowerState");
  if (state == "On") return PowerState::on;
  if (state == "Off") return PowerState::off;
  if (!state.empty()) return PowerState::unknown;  // PoweringOn, PoweringOff, Paused
  return fail(ErrorCode::io_error, "the BMC at {} doesn't say its system's PowerState", client_.config().address);
}

Result<RedfishDriver::Reset> RedfishDriver::find_reset(const Attempt& attempt) {
  const auto system = read_system(attempt);
  if (!system) return forward(system);
  const auto actions = system->value("Actions", json::object());
  const auto reset = actions.is_object() ? actions.value("#ComputerSystem.Reset", json()) : json();
  const auto target = path_of_link({{"@odata.id", text_of(reset, "target")}});
  if (!target) {
    return fail(ErrorCode::unsupported, "the BMC at {} offers no reset of its system", client_.config().address);
  }
  Reset found{.target = *target, .types = texts_of(reset, "ResetType@Redfish.AllowableValues")};
  const auto more = text_of(reset, "@Redfish.ActionInfo");
  if (found.types.empty() && !more.empty()) {
    const auto path = path_of_link({{"@odata.id", more}});
    if (!path) return forward(path);
    const auto info = client_.get(*path, attempt);
    if (!info) return forward(info);
    const auto parameters = info->body.value("Parameters", json::array());
    for (const auto& parameter : parameters) {
      if (text_of(parameter, "Name") == "ResetType") found.types = texts_of(parameter, "AllowableValues");
    }
  }
  return found;
}

Status RedfishDriver::request(PowerRequest request, const Attempt& attempt) {
  const auto reset = find_reset(attempt);
  if (!reset) return forward(reset);
  const std::vector<std::string> fitting =
      request == PowerRequest::on ? std::vector<std::string>{"On", "ForceOn"} : std::vector<std::string>{"ForceOff"};
  const auto chosen = std::find_if(fitting.begin(), fitting.end(), [&](const std::string& type) {
    return reset->types.empty() || has(reset->types, type);
  });
  if (chosen == fitting.end()) {
    return fail_with_hint(ErrorCode::unsupported,
                          fmt::format("the BMC at {} allows {}, and not {}", client_.config().address,
                                      fmt::join(reset->types, ", "), fitting.front()),
                          "Use another driver for it: ipmi, or a fence agent.");
  }
  const auto done = client_.post(reset->target, {{"ResetType", *chosen}}, attempt);
  return done ? Status() : forward(done);
}

void RedfishDriver::inspect(const Attempt& attempt, PowerCheck& check) {
  inspect_certificate(attempt, check);
  if (!check.good()) return;
  const auto reset = find_reset(attempt);
  if (!reset) {
    check.findings.push_back({"abilities", Finding::Level::bad, reset.error().message, reset.error().hint});
    return;
  }
  const bool off = reset->types.empty() || has(reset->types, "ForceOff");
  const bool on = reset->types.empty() || has(reset->types, "On") || has(reset->types, "ForceOn");
  check.abilities.on = on;
  check.abilities.off = off;
  check.findings.push_back({"abilities", on && off ? Finding::Level::good : Finding::Level::bad,
                            reset->types.empty() ? "it doesn't say which resets it allows"
                                                 : fmt::format("{} allows {}", system_, fmt::join(reset->types, ", ")),
                            on && off ? "" : "Use another driver for it: ipmi, or a fence agent."});
  if (date_) check.clock_skew = std::chrono::duration_cast<std::chrono::seconds>(*date_ - SystemClock().now());
}

Result<double> RedfishDriver::watts(const Attempt& attempt) {
  const auto none = [&] {
    return fail(ErrorCode::unsupported, "the BMC at {} measures no watts", client_.config().address);
  };
  const auto system = read_system(attempt);
  if (!system) return forward(system);
  const auto links = system->value("Links", json::object());
  const auto chassis = links.is_object() ? links.value("Chassis", json::array()) : json();
  if (!chassis.is_array() || chassis.empty()) return none();
  const auto path = path_of_link(chassis.front());
  if (!path) return forward(path);
  const auto power = client_.get(*path + "/Power", attempt);
  if (!power && power.error().code == ErrorCode::not_found) return none();
  if (!power) return forward(power);
  const auto controls = power->body.value("PowerControl", json::array());
  if (!controls.is_array() || controls.empty() || !controls.front().is_object()) return none();
  const auto watts = controls.front().find("PowerConsumedWatts");
  if (watts == controls.front().end() || !watts->is_number()) return none();
  return watts->get<double>();
}

void RedfishDriver::inspect_certificate(const Attempt& attempt, PowerCheck& check) {
  const auto shown = client_.shown_pin(attempt);
  if (!shown) return;  // reachability was found before
  const auto& pin = client_.config().pin;
  if (pin.empty()) {
    check.findings.push_back({"certificate", Finding::Level::good, fmt::format("it shows the key {}", *shown), ""});
  } else if (*shown == pin) {
    check.findings.push_back({"certificate", Finding::Level::good, "it shows the pinned key", ""});
  } else {
    check.findings.push_back(
        {"certificate", Finding::Level::bad, fmt::format("it shows the key {}, another than the pinned one", *shown),
         "Compare it with what the BMC's own console says; set the option pin to it only if that is the same."});
  }
}

}  // namespace bridgehead::power
