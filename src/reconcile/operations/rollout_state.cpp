#include "reconcile/operations/rollout_state.h"

#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace {

void take_progress(const model::Operation& operation, RolloutProgress& progress) {
  progress.max_unavailable = parameter(operation, "max_unavailable", progress.max_unavailable);
  progress.canary = parameter(operation, "canary", progress.canary);
  for (const auto& json : parameter(operation, "nodes", nlohmann::json::array())) {
    const auto text = [&](const char* name) { return json.value(name, std::string()); };
    progress.nodes.push_back({.node = model::NodeId(text("node")),
                              .name = text("name"),
                              .from = text("from"),
                              .state = text("state"),
                              .operation = model::OperationId(text("operation")),
                              .message = text("message")});
  }
}

void put_progress(nlohmann::json& parameters, const RolloutProgress& progress) {
  parameters["max_unavailable"] = progress.max_unavailable;
  parameters["canary"] = progress.canary;
  auto nodes = nlohmann::json::array();
  for (const auto& one : progress.nodes) {
    nodes.push_back({{"node", one.node.str()},
                     {"name", one.name},
                     {"from", one.from},
                     {"state", one.state},
                     {"operation", one.operation.str()},
                     {"message", one.message}});
  }
  parameters["nodes"] = std::move(nodes);
}

}  // namespace

RolloutState rollout_of(const model::Operation& operation) {
  RolloutState state;
  take_progress(operation, state);
  state.image = parameter<std::string>(operation, "image", {});
  state.boot_deadline =
      std::chrono::seconds(parameter(operation, "boot_deadline_seconds", std::int64_t{state.boot_deadline.count()}));
  state.refill = parameter<std::string>(operation, "refill", {});
  return state;
}

void put_rollout(model::Operation& operation, const RolloutState& state) {
  auto& parameters = operation.parameters;
  put_progress(parameters, state);
  parameters["image"] = state.image;
  parameters["boot_deadline_seconds"] = state.boot_deadline.count();
  if (!state.refill.empty()) parameters["refill"] = state.refill;
}

AgentRolloutState agent_rollout_of(const model::Operation& operation) {
  AgentRolloutState state;
  take_progress(operation, state);
  state.version = parameter<std::string>(operation, "version", {});
  state.without_way_back = parameter(operation, "without_way_back", false);
  return state;
}

void put_rollout(model::Operation& operation, const AgentRolloutState& state) {
  put_progress(operation.parameters, state);
  operation.parameters["version"] = state.version;
  operation.parameters["without_way_back"] = state.without_way_back;
}

}  // namespace bridgehead::reconcile::operations
