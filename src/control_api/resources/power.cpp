// The power of nodes' machines: how it is switched, switching it, what is so now.
#include "reconcile/commands/power.h"
#include "control_api/bodies/power_requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/power_parts.h"
#include "model/enum_names.h"
#include "model/json.h"
#include "reconcile/power_port.h"

namespace bridgehead::control_api {

Result<reconcile::PowerPort*> need_power(const Services& services) {
  if (services.power != nullptr && services.secrets != nullptr) return services.power;
  return fail_with_hint(ErrorCode::failed_precondition, "this manager switches no machines",
                        "It was started without that part.");
}

namespace {

nlohmann::json bmc_view(const model::Bmc& bmc, const std::string& node_name) {
  nlohmann::json json = bmc;
  json["password"] = bmc.password.empty() ? "" : "(set)";
  json["node_name"] = node_name;
  return json;
}

Result<http::Response> bmc_answer(const reconcile::Caller& caller, const Result<model::Bmc>& bmc,
                                  const std::string& node_name) {
  if (!bmc) return forward(bmc);
  nlohmann::json body = {{"bmc", bmc_view(*bmc, node_name)}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

nlohmann::json check_view(const reconcile::BmcCheck& check) {
  nlohmann::json json = {{"good", check.good},
                         {"findings", nlohmann::json::array()},
                         {"abilities",
                          {{"status", check.reads},
                           {"on", check.switches_on},
                           {"off", check.switches_off},
                           {"tells_sleep", check.tells_sleep}}},
                         {"latency_ms", nullptr},
                         {"clock_skew_seconds", nullptr}};
  if (check.latency) json["latency_ms"] = check.latency->count();
  if (check.clock_skew) json["clock_skew_seconds"] = check.clock_skew->count();
  for (const auto& finding : check.findings) {
    json["findings"].push_back(
        {{"subject", finding.subject}, {"level", finding.level}, {"message", finding.message}, {"fix", finding.fix}});
  }
  return json;
}

// What a BMC is asked for takes long: the answer is given by whoever gets the BMC's. `ask` gets the node and its BMC.
template <typename Ask>
void ask_bmc(Services& services, const std::shared_ptr<Call>& call, Ask&& ask) {
  const auto refuse = [&](const Error& error) { call->exchange->respond(problem(error, call->request().target.path)); };
  const auto port = need_power(services);
  if (!port) return refuse(port.error());
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call->parameters[0]);
  if (!node) return refuse(node.error());
  const auto bmc = reconcile::bmc_of(services.inventory(), (*node)->value);
  if (!bmc) return refuse(bmc.error());
  if (const auto asked = ask(**port, (*node)->value, (*bmc)->value); !asked) refuse(asked.error());
}

}  // namespace

Result<http::Response> get_node_bmc(Services& services, const Call& call) {
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  const auto bmc = reconcile::bmc_of(services.inventory(), (*node)->value);
  if (!bmc) return forward(bmc);
  return json_answer(200, bmc_view((*bmc)->value, (*node)->value.name));
}

Result<http::Response> put_node_bmc(Services& services, const Call& call) {
  const auto port = need_power(services);
  if (!port) return forward(port);
  auto request = read_set_bmc(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  const auto label = pki::record_label("bmc", (*node)->value.id.str(), "password");
  auto& command = request->command;
  if (request->password) {
    command.password = request->password->empty() ? "" : services.secrets->seal(*request->password, label);
  }
  const auto bmc = reconcile::bmc_with(services.inventory(), (*node)->value, command, services.commander.clock.now());
  if (!bmc) return forward(bmc);
  std::string password = request->password.value_or("");
  if (!request->password && !bmc->password.empty()) {
    auto kept = services.secrets->unseal(bmc->password, label);
    if (!kept) return forward(kept);
    password = std::move(*kept);
  }
  if (const auto good = (*port)->try_settings(*bmc, password); !good) return forward(good);
  return bmc_answer(*caller, reconcile::set_bmc(services.commander, *caller, call.parameters[0], command),
                    (*node)->value.name);
}

Result<http::Response> delete_node_bmc(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto node = reconcile::resolve<model::Node>(services.inventory(), call.parameters[0]);
  if (!node) return forward(node);
  return bmc_answer(*caller, reconcile::remove_bmc(services.commander, *caller, call.parameters[0]),
                    (*node)->value.name);
}

Result<http::Response> post_node_power(Services& services, const Call& call) {
  if (const auto port = need_power(services); !port) return forward(port);
  const auto request = read_switch_node(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::switch_node(services.commander, *caller, call.parameters[0], *request);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "node", view_of(accepted->object, services.inventory()), accepted->operation);
}

void get_node_power(Services& services, const std::shared_ptr<Call>& call) {
  ask_bmc(services, call, [&](reconcile::PowerPort& port, const model::Node& node, const model::Bmc& bmc) {
    return port.read(node.id, [call, name = node.name, last = bmc.power](Result<reconcile::PowerReading> reading) {
      if (!reading) return call->exchange->respond(problem(reading.error(), call->request().target.path));
      call->exchange->respond(json_answer(200, nlohmann::json{{"node_name", name},
                                                              {"state", model::to_string(reading->state)},
                                                              {"warning", reading->warning},
                                                              {"last_change", last}}));
    });
  });
}

void get_node_bmc_check(Services& services, const std::shared_ptr<Call>& call) {
  ask_bmc(services, call, [&](reconcile::PowerPort& port, const model::Node& node, const model::Bmc&) {
    return port.check(node.id, [call](Result<reconcile::BmcCheck> check) {
      if (!check) return call->exchange->respond(problem(check.error(), call->request().target.path));
      call->exchange->respond(json_answer(200, check_view(*check)));
    });
  });
}

}  // namespace bridgehead::control_api
