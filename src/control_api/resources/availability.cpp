// High availability: what is made of silent nodes and of guests that are to run elsewhere, and what persons answer.
#include <algorithm>

#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"
#include "reconcile/availability_port.h"

namespace bridgehead::control_api {
namespace {

Result<reconcile::AvailabilityPort*> need_availability(const Services& services) {
  if (services.availability != nullptr) return services.availability;
  return fail_with_hint(ErrorCode::failed_precondition, "this manager doesn't watch over nodes",
                        "It was started without that part.");
}

nlohmann::json view_of(const state::Inventory& inventory, const reconcile::NodeAvailability& node) {
  const auto record = inventory.find<model::Node>(node.node);
  nlohmann::json json = {{"node", node.node.str()},
                         {"node_name", record ? record->value.name : ""},
                         {"state", node.stage},
                         {"message", node.text},
                         {"silent_seconds", nullptr},
                         {"power_control", node.power_control},
                         {"distrusted", node.distrusted},
                         {"question", node.question},
                         {"watchdog", node.no_watchdog.empty()},
                         {"no_watchdog", node.no_watchdog}};
  if (node.silent_for) json["silent_seconds"] = std::max<std::int64_t>(0, node.silent_for->count());
  return json;
}

nlohmann::json view_of(const state::Inventory& inventory, const reconcile::GuestAvailability& guest) {
  nlohmann::json json = {{"vm", guest.vm.str()},
                         {"ha", guest.restart ? "restart" : "none"},
                         {"terms", guest.terms},
                         {"waits_for", guest.waits_for},
                         {"not_protected", guest.not_protected},
                         {"not_stopped", guest.not_stopped},
                         {"deaths", guest.deaths},
                         {"given_up", guest.given_up},
                         {"vm_name", ""},
                         {"node_name", ""},
                         {"lease", 0},
                         {"priority", 0}};
  const auto vm = inventory.find<model::Vm>(guest.vm);
  if (!vm) return json;
  json["vm_name"] = vm->value.name;
  json["lease"] = vm->value.lease;
  json["priority"] = vm->value.planning.priority;
  const auto node = inventory.find<model::Node>(vm->value.node);
  if (node) json["node_name"] = node->value.name;
  return json;
}

http::Response status_answer(const Services& services, const reconcile::AvailabilityPort& port) {
  const auto status = port.status();
  nlohmann::json json = {{"learning", status.learning},
                         {"question", status.storm_question},
                         {"nodes", nlohmann::json::array()},
                         {"guests", nlohmann::json::array()}};
  for (const auto& node : status.nodes) json["nodes"].push_back(view_of(services.inventory(), node));
  for (const auto& guest : status.guests) json["guests"].push_back(view_of(services.inventory(), guest));
  return json_answer(200, json);
}

// `answer` gets the port, the node where there is one, and who says it.
template <typename Answer>
Result<http::Response> take_answer(Services& services, const Call& call, Answer&& answer) {
  const auto port = need_availability(services);
  if (!port) return forward(port);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  if (auto taken = answer(**port, caller->actor); !taken) return forward(taken);
  return status_answer(services, **port);
}

template <typename Answer>
Result<http::Response> take_answer_about_node(Services& services, const Call& call, Answer&& answer) {
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  return take_answer(services, call, [&](reconcile::AvailabilityPort& port, const std::string& person) {
    return answer(port, (*node)->value.id, person);
  });
}

}  // namespace

Result<http::Response> get_availability(Services& services, const Call&) {
  const auto port = need_availability(services);
  if (!port) return forward(port);
  return status_answer(services, **port);
}

Result<http::Response> post_availability_go_on(Services& services, const Call& call) {
  return take_answer(services, call,
                     [](reconcile::AvailabilityPort& port, const std::string& person) { return port.go_on(person); });
}

Result<http::Response> post_node_confirm_off(Services& services, const Call& call) {
  return take_answer_about_node(services, call, [](auto& port, const model::NodeId& node, const std::string& person) {
    return port.confirm_off(node, person);
  });
}

Result<http::Response> post_vm_confirm_stopped(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto vm = reconcile::confirm_stopped(services.commander, *caller, call.parameters[0]);
  if (!vm) return forward(vm);
  return json_answer(200, view_of(*vm, services.inventory()));
}

Result<http::Response> post_node_bmc_trust(Services& services, const Call& call) {
  return take_answer_about_node(services, call, [](auto& port, const model::NodeId& node, const std::string& person) {
    return port.trust(node, person);
  });
}

}  // namespace bridgehead::control_api
