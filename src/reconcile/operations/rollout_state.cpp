#include "reconcile/operations/rollout_state.h"

#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {

RolloutState rollout_of(const model::Operation& operation) {
  RolloutState state;
  state.image = parameter<std::string>(operation, "image", {});
  state.max_unavailable = parameter(operation, "max_unavailable", state.max_unavailable);
  state.canary = parameter(operation, "canary", state.canary);
  state.boot_deadline =
      std::chrono::seconds(parameter(operation, "boot_deadline_seconds", std::int64_t{state.boot_deadline.count()}));
  state.refill = parameter<std::string>(operation, "refill", {});
  for (const auto& json : parameter(operation, "nodes", nlohmann::json::array())) {
    const auto text = [&](const char* name) { return json.value(name, std::string()); };
    state.nodes.push_back({.node = model::NodeId(text("node")),
                           .name = text("name"),
                           .from = text("from"),
                           .state = text("state"),
                           .operation = model::OperationId(text("operation")),
                           .message = text("message")});
  }
  return state;
}

void put_rollout(model::Operation& operation, const RolloutState& state) {
  auto& parameters = operation.parameters;
  parameters["image"] = state.image;
  parameters["max_unavailable"] = state.max_unavailable;
  parameters["canary"] = state.canary;
  parameters["boot_deadline_seconds"] = state.boot_deadline.count();
  if (!state.refill.empty()) parameters["refill"] = state.refill;
  auto nodes = nlohmann::json::array();
  for (const auto& one : state.nodes) {
    nodes.push_back({{"node", one.node.str()},
                     {"name", one.name},
                     {"from", one.from},
                     {"state", one.state},
                     {"operation", one.operation.str()},
                     {"message", one.message}});
  }
  parameters["nodes"] = std::move(nodes);
}

}  // namespace bridgehead::reconcile::operations
