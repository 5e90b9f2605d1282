// Booting machines over the network: on and off, who may boot what, how far a boot is.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/netboot_parts.h"
#include "control_api/resources/own_address.h"
#include "model/past_boots.h"

namespace bridgehead::control_api {
namespace {

nlohmann::json view_of_status(const reconcile::NetbootStatus& status) {
  nlohmann::json parts = nlohmann::json::array();
  for (const auto& part : status.parts) {
    parts.push_back({{"name", part.name}, {"running", part.running}, {"message", part.message}});
  }
  return {{"parts", std::move(parts)}, {"foreign_dhcp_servers", status.foreign_dhcp_servers}};
}

Result<http::Response> settings_answer(const reconcile::Caller& caller,
                                       const Result<model::NetbootSettings>& settings) {
  if (!settings) return forward(settings);
  nlohmann::json body = {{"settings", view_of(*settings)}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

Result<http::Response> nodes_answer(const Services& services, const reconcile::Caller& caller,
                                    const Result<std::vector<model::Node>>& nodes) {
  if (!nodes) return forward(nodes);
  nlohmann::json body = {{"nodes", nlohmann::json::array()}};
  for (const auto& node : *nodes) body["nodes"].push_back(view_of(node, services.inventory()));
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

Result<state::Record<model::Node>> netboot_node(const Services& services, const std::string& reference) {
  const auto node = reconcile::resolve<model::Node>(services.inventory(), reference);
  if (!node || (*node)->value.netboot) return node;
  return fail(ErrorCode::failed_precondition, "node '{}' doesn't boot over the network", (*node)->value.name);
}

}  // namespace

Result<reconcile::NetbootPort*> need_netboot(const Services& services) {
  if (services.netboot != nullptr) return services.netboot;
  return fail_with_hint(ErrorCode::failed_precondition, "this manager doesn't boot machines",
                        "It was started without that part.");
}

Result<http::Response> get_netboot(Services& services, const Call&) {
  const auto status = services.netboot != nullptr ? services.netboot->status() : reconcile::NetbootStatus{};
  return json_answer(200, nlohmann::json{{"settings", view_of(reconcile::netboot_settings(services.inventory()))},
                                         {"status", view_of_status(status)}});
}

Result<http::Response> put_netboot(Services& services, const Call& call) {
  const auto port = need_netboot(services);
  if (!port) return forward(port);
  auto request = read_enable_netboot(call.body);
  if (!request) return forward(request);
  if (auto available = (*port)->available(); !available) return forward(available);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  if (request->address.empty()) {
    auto address = own_ipv4_address(request->interface);
    if (!address) return forward(address);
    request->address = std::move(*address);
  }
  return settings_answer(*caller, reconcile::enable_netboot(services.commander, *caller, *request));
}

Result<http::Response> delete_netboot(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return settings_answer(*caller, reconcile::disable_netboot(services.commander, *caller));
}

Result<http::Response> post_netboot_approve(Services& services, const Call& call) {
  const auto request = read_approve_nodes(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return nodes_answer(services, *caller, reconcile::approve_nodes(services.commander, *caller, *request));
}

Result<http::Response> post_netboot_assign(Services& services, const Call& call) {
  const auto request = read_assign_nodes(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return nodes_answer(services, *caller, reconcile::assign_nodes(services.commander, *caller, *request));
}

Result<http::Response> get_node_boot(Services& services, const Call& call) {
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  const auto boot = services.inventory().find<model::Boot>((*node)->value.id);
  if (!boot) {
    return fail(ErrorCode::not_found, "node '{}' has never booted over the network from this manager",
                (*node)->value.name);
  }
  return json_answer(200, view_of(boot->value));
}

Result<http::Response> list_node_boots(Services& services, const Call& call) {
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  const auto revision = services.inventory().revision();
  const auto& id = (*node)->value.id;
  std::vector<model::Boot> boots;
  if (const auto newest = services.inventory().find<model::Boot>(id)) boots.push_back(newest->value);
  if (const auto past = services.inventory().find<model::PastBoots>(id)) {
    boots.insert(boots.end(), past->value.boots.begin(), past->value.boots.end());
  }
  return list_answer(revision, boots, [](std::string& out, const model::Boot& boot) {
    out += dump(view_of(boot));
    return true;
  });
}

Result<http::Response> get_node_boot_script(Services& services, const Call& call) {
  const auto node = netboot_node(services, call.parameters[0]);
  if (!node) return forward(node);
  const auto port = need_netboot(services);
  if (!port) return forward(port);
  auto script = (*port)->boot_script((*node)->value);
  if (!script) return forward(script);
  http::Response response{.body = std::move(*script)};
  response.with("Content-Type", "text/plain; charset=utf-8");
  return response;
}

}  // namespace bridgehead::control_api
