// Nodes, and the tokens by which they join.
#include "control_api/bodies/power_requests.h"
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/json.h"
#include "pki/certificate.h"
#include "pki/tokens.h"
#include "reconcile/commands/maintenance.h"
#include "reconcile/commands/plans.h"

namespace bridgehead::control_api {
namespace {

// "host:port" or "[v6]:port" -> host with its brackets, ":port" or "".
std::pair<std::string, std::string> split_address(std::string_view address) {
  const auto colon = address.rfind(':');
  const bool has_port = colon != std::string_view::npos &&
                        (address.front() == '[' ? address[colon - 1] == ']' : address.find(':') == colon);
  if (!has_port) return {std::string(address), {}};
  return {std::string(address.substr(0, colon)), std::string(address.substr(colon))};
}

// Where the new node finds us: what was asked for; else our own idea; else the host that this very request was sent to.
Result<std::string> agent_address(const Services& services, const Call& call, const std::string& asked) {
  const auto [own_host, own_port] = split_address(services.config.agent_endpoint);
  const auto usable = [](std::string_view host) {
    return !host.empty() && host.find_first_of(" /@\\\"") == std::string_view::npos && host != "0.0.0.0" &&
           host != "[::]";
  };
  for (const std::string& candidate :
       {asked, services.config.agent_endpoint, std::string(call.request().header("host"))}) {
    if (candidate.empty()) continue;
    const auto [host, port] = split_address(candidate);
    if (!usable(host)) {
      if (candidate == asked) return fail(ErrorCode::invalid_argument, "address: must be HOST or HOST:PORT");
      continue;
    }
    const bool api_port = candidate == call.request().header("host");  // REST's, not the agents'
    return host + (port.empty() || api_port ? own_port : port);
  }
  return fail(ErrorCode::invalid_argument,
              "address: is needed, the manager doesn't know under which name nodes reach it");
}

// Adds "use": {"cpus"}, or null where nothing was measured.
nlohmann::json view_with_use(const Services& services, const model::Node& node) {
  auto json = view_of(node, services.inventory());
  const auto* use = services.commander.use;
  const auto cpus = use == nullptr ? std::nullopt : use->node_cpus(node.id, services.commander.clock.now());
  json["use"] = cpus ? nlohmann::json{{"cpus", *cpus}} : nlohmann::json();
  return json;
}

Result<http::Response> maintain(Services& services, const reconcile::Caller& caller, const std::string& node,
                                const DrainRequest& request) {
  const auto maintained =
      reconcile::maintain_node(services.commander, caller, node,
                               {.then = *request.then, .boot_deadline_seconds = request.boot_deadline_seconds});
  if (!maintained) return forward(maintained);
  nlohmann::json body = {{"node", view_of(maintained->accepted.object, services.inventory())}};
  body["plan"] = maintained->moves ? view_of(*maintained->moves) : nlohmann::json();
  body["operation"] = view_of(maintained->accepted.operation);
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(caller.dry_run ? 200 : 202, body);
}

}  // namespace

Result<http::Response> list_nodes(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  return list_answer(revision, services.inventory().all<model::Node>(),
                     [&](std::string& out, const state::Record<model::Node>& record) {
                       out += dump(view_with_use(services, record->value));
                       return true;
                     });
}

Result<http::Response> get_node(Services& services, const Call& call) {
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  return json_answer(200, view_with_use(services, (*node)->value));
}

Result<http::Response> patch_node(Services& services, const Call& call) {
  const auto request = read_update_node(call.body, services.secrets);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto node = reconcile::update_node(services.commander, *caller, call.parameters[0], *request);
  if (!node) return forward(node);
  nlohmann::json body = {{"node", view_of(*node, services.inventory())}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

Result<http::Response> drain_node_by_name(Services& services, const Call& call) {
  const auto request = read_drain(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  if (request->then) return maintain(services, *caller, call.parameters[0], *request);
  const auto drained = reconcile::drain_node(services.commander, *caller, call.parameters[0]);
  if (!drained) return forward(drained);
  nlohmann::json body = {{"node", view_of(drained->node, services.inventory())}};
  body["plan"] = drained->plan ? view_of(*drained->plan) : nlohmann::json();
  body["operation"] = drained->operation ? view_of(*drained->operation) : nlohmann::json();
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

Result<http::Response> undrain_node_by_name(Services& services, const Call& call) {
  if (const auto nothing = read_nothing(call.body); !nothing) return forward(nothing);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto node = reconcile::undrain_node(services.commander, *caller, call.parameters[0]);
  if (!node) return forward(node);
  nlohmann::json body = {{"node", view_of(*node, services.inventory())}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

Result<http::Response> delete_node_by_name(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto node = reconcile::delete_node(services.commander, *caller, call.parameters[0]);
  if (!node) return forward(node);
  nlohmann::json body = {{"node", view_of(*node, services.inventory())}};
  if (caller->dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

Result<http::Response> create_join_token_ticket(Services& services, const Call& call) {
  auto request = read_create_join_token(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto address = agent_address(services, call, request->address);
  if (!address) return forward(address);
  const auto fingerprint = pki::certificate_fingerprint(services.config.ca_certificate_pem);
  if (!fingerprint) return fail(ErrorCode::internal, "the manager's CA can't be read: {}", fingerprint.error().message);
  const std::string secret = pki::make_secret(services.commander.random);
  request->command.secret_sha256 = pki::sha256_hex(secret);
  const auto token = reconcile::create_join_token(services.commander, *caller, request->command);
  if (!token) return forward(token);
  nlohmann::json body = {{"expires", to_rfc3339(token->expires)}};
  if (caller->dry_run) {
    body["dry_run"] = true;
    return json_answer(200, body);
  }
  body["join_token"] = pki::format_join_token({*address, *fingerprint, token->id, secret});
  return json_answer(201, body);
}

}  // namespace bridgehead::control_api
