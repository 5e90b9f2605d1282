// The manager itself: version, health, metrics, what is wrong in the cluster.
#include "control_api/metrics.h"
#include "control_api/openapi.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"
#include "reconcile/node_watts.h"
#include "reconcile/problems.h"

namespace bridgehead::control_api {
namespace {

nlohmann::json problems_of(const Services& services) {
  auto list = nlohmann::json::array();
  for (auto& one : reconcile::find_problems({.inventory = services.inventory(),
                   .now = services.commander.clock.now(),
                   .netboot = services.netboot,
                   .availability = services.availability,
                   .upgrades = services.upgrades})) {
    list.push_back({{"condition", one.condition},
                    {"severity", model::to_string(one.severity)},
                    {"object_kind", std::move(one.object_kind)},
                    {"object", std::move(one.object)},
                    {"message", std::move(one.message)},
                    {"action", std::move(one.action)}});
  }
  return list;
}

// Nodes that nobody knows of whether they are on aren't in it.
nlohmann::json power_now(const Services& services) {
  const auto now = services.commander.clock.now();
  std::size_t off = 0;
  double watts = 0;
  double measured = 0;
  double saved = 0;
  for (const auto& record : services.inventory().all<model::Node>()) {
    const auto& node = record->value;
    if (!reconcile::takes_power(node)) continue;
    const auto by_bmc = services.energy == nullptr ? std::nullopt : services.energy->watts_by_bmc(node.id);
    const auto takes = reconcile::watts_of(services.inventory(), services.commander.use, node, by_bmc, now);
    if (!takes) continue;
    watts += takes->watts;
    if (takes->source != model::PowerSource::model) measured += takes->watts;
    if (!takes->off) continue;
    ++off;
    saved += std::max(0.0, takes->least - takes->watts);
  }
  return {{"hosts_off", off}, {"watts", watts}, {"watts_measured", measured}, {"watts_saved", saved}};
}

}  // namespace

Result<http::Response> get_version(Services& services, const Call&) {
  return json_answer(
      200,
      nlohmann::json{{"version", services.config.version}, {"api", "v1"}, {"cluster_id", services.config.cluster_id}});
}

Result<http::Response> get_openapi(Services&, const Call&) {
  http::Response response{.body = std::string(openapi_yaml())};
  response.with("Content-Type", "application/yaml");
  return response;
}

Result<http::Response> get_health(Services&, const Call&) {
  http::Response response{.body = "ok\n"};
  response.with("Content-Type", "text/plain; charset=utf-8");
  return response;
}

Result<http::Response> get_metrics(Services& services, const Call&) {
  http::Response response{.body = services.metrics.render(services)};
  response.with("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

Result<http::Response> get_status(Services& services, const Call&) {
  const auto& inventory = services.inventory();
  std::size_t nodes = 0;
  std::size_t ready = 0;
  std::size_t waiting = 0;
  for (const auto& node : inventory.all<model::Node>()) {
    nodes += reconcile::is_member(node->value) ? 1U : 0U;
    ready += node->value.state == model::NodeState::ready ? 1U : 0U;
    waiting += node->value.netboot && node->value.netboot->approval == model::Approval::waiting ? 1U : 0U;
  }
  const auto vms = inventory.all<model::Vm>();
  std::size_t running = 0;
  for (const auto& vm : vms) running += vm->value.status.phase == model::VmPhase::running ? 1U : 0U;
  std::size_t open = 0;
  std::size_t failed = 0;
  for (const auto& record : inventory.all<model::Operation>()) {
    open += record->value.terminal() ? 0U : 1U;
    failed += record->value.state == model::OperationState::failed ? 1U : 0U;
  }
  return json_answer(200, nlohmann::json{{"version", services.config.version},
                                         {"nodes", {{"total", nodes}, {"ready", ready}, {"waiting", waiting}}},
                                         {"vms", {{"total", vms.size()}, {"running", running}}},
                                         {"operations", {{"open", open}, {"failed", failed}}},
                                         {"power", power_now(services)},
                                         {"problems", problems_of(services)}});
}

}  // namespace bridgehead::control_api
