// How far an operation node_image.rollout or agent.rollout is, node by node: what its parameters say, as a value. Pure;
// nothing fails.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "model/operation.h"

namespace bridgehead::reconcile::operations {

inline constexpr char kRefillWanted[] = "wanted";

struct RolloutNode {
  model::NodeId node;
  std::string name;
  std::string from;               // the image, or the agent's version, that it ran before; "" = not known
  std::string state = "waiting";  // running, done, failed; left: nothing was done there
  model::OperationId operation;   // the node.maintain or node.upgrade that did it
  std::string message;            // why it failed, or why nothing had to be done

  bool operator==(const RolloutNode&) const = default;
};

// What all rollouts have in common.
struct RolloutProgress {
  std::uint64_t max_unavailable = 1;  // nodes under way at once
  std::uint64_t canary = 1;           // the first so many nodes must be well before any other begins
  std::vector<RolloutNode> nodes;

  bool operator==(const RolloutProgress&) const = default;
};

struct RolloutState : RolloutProgress {
  std::string image;
  std::chrono::seconds boot_deadline{15 * 60};
  std::string refill;  // at its end: "wanted", then the name of the plan by which guests come back, or "nothing"

  bool operator==(const RolloutState&) const = default;
};

struct AgentRolloutState : RolloutProgress {
  std::string version;            // of the agent's package
  bool without_way_back = false;  // also where the package before isn't here any more

  bool operator==(const AgentRolloutState&) const = default;
};

RolloutState rollout_of(const model::Operation& operation);
void put_rollout(model::Operation& operation, const RolloutState& state);
AgentRolloutState agent_rollout_of(const model::Operation& operation);
void put_rollout(model::Operation& operation, const AgentRolloutState& state);

}  // namespace bridgehead::reconcile::operations
