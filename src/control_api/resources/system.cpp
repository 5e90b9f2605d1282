// The manager itself: version, health, metrics, what is wrong in the cluster.
#include "control_api/metrics.h"
#include "control_api/openapi.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {
namespace {

class Problems {
 public:
  void add(std::string_view kind, const std::string& object, std::string message, std::string action) {
    list_.push_back(
        {{"object_kind", kind}, {"object", object}, {"message", std::move(message)}, {"action", std::move(action)}});
  }
  nlohmann::json take() { return std::move(list_); }

 private:
  nlohmann::json list_ = nlohmann::json::array();
};

std::string or_else(const std::string& message, std::string_view otherwise) {
  return message.empty() ? std::string(otherwise) : message;
}

void add_node_problems(Problems& problems, const std::vector<state::Record<model::Node>>& nodes) {
  if (nodes.empty()) {
    problems.add("cluster", "", "No node has joined yet.",
                 "Make a join token (POST /join-tokens) and start an agent with it.");
  }
  for (const auto& record : nodes) {
    const auto& node = record->value;
    if (node.state == model::NodeState::unreachable) {
      problems.add("node", node.name, or_else(node.message, "The node's agent has no connection."),
                   "Look at the agent on the node: journalctl -u bridgehead-agent.");
    } else if (node.state == model::NodeState::not_ready) {
      problems.add("node", node.name, or_else(node.message, "The node can't run guests."),
                   "See the node's facts for what it lacks.");
    }
  }
}

void add_pool_problems(Problems& problems, const state::Inventory& inventory) {
  for (const auto& record : inventory.all<model::Pool>()) {
    for (const auto& [id, on_node] : record->value.nodes) {
      if (on_node.ready) continue;
      const auto node = inventory.find<model::Node>(id);
      problems.add("pool", record->value.name,
                   fmt::format("Not usable on {}: {}", node ? node->value.name : id.str(), on_node.message),
                   "Make its path usable on that node, or remove the pool.");
    }
  }
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
  Problems problems;
  const auto nodes = inventory.all<model::Node>();
  std::size_t ready = 0;
  for (const auto& node : nodes) ready += node->value.state == model::NodeState::ready ? 1U : 0U;
  add_node_problems(problems, nodes);
  add_pool_problems(problems, inventory);

  const auto vms = inventory.all<model::Vm>();
  std::size_t running = 0;
  for (const auto& record : vms) {
    const auto& vm = record->value;
    running += vm.status.phase == model::VmPhase::running ? 1U : 0U;
    if (vm.status.phase == model::VmPhase::failed) {
      problems.add("vm", vm.name, or_else(vm.status.message, "It has failed."),
                   "Start it again, or see its operations for the cause.");
    }
  }
  for (const auto& record : inventory.all<model::Image>()) {
    if (record->value.state != model::ImageState::failed) continue;
    problems.add("image", record->value.name, or_else(record->value.message, "It could not be made."),
                 "Delete it and import it again.");
  }
  std::size_t open = 0;
  std::size_t failed = 0;
  for (const auto& record : inventory.all<model::Operation>()) {
    open += record->value.terminal() ? 0U : 1U;
    failed += record->value.state == model::OperationState::failed ? 1U : 0U;
  }
  return json_answer(200, nlohmann::json{{"version", services.config.version},
                                         {"nodes", {{"total", nodes.size()}, {"ready", ready}}},
                                         {"vms", {{"total", vms.size()}, {"running", running}}},
                                         {"operations", {{"open", open}, {"failed", failed}}},
                                         {"problems", problems.take()}});
}

}  // namespace bridgehead::control_api
