// What an agent says on its stream, decoded and checked. The only way that an agent's bytes enter the manager.
// Stateless, thread-safe. Errors: invalid_argument for whatever isn't a valid message, naming the part that is wrong.
#pragma once

#include <string_view>
#include <variant>

#include "base/result.h"
#include "model/assignment.h"
#include "reconcile/agent_port.h"

namespace bridgehead::agent_gateway {

struct VmGone {
  model::VmId vm;
};

struct TunnelFailure {
  model::TunnelId tunnel;
  Error error;
};

struct Pong {
  std::uint64_t number = 0;
};

// As availability/lease_text.h writes it; its reader is the one who knows leases.
struct Renewal {
  std::string text;
};

using AgentMessage = std::variant<model::NodeReport, model::NodeLoad, model::ObservedVm, VmGone,
                                  model::AssignmentReport, TunnelFailure, Pong, model::NodeUse, Renewal>;

// `bytes`: one serialised bridgehead.agent.v1.AgentMessage (api/agent.proto).
Result<AgentMessage> decode_agent_message(std::string_view bytes);

// Hands a message to its receiver; TunnelFailure, Pong and Renewal go nowhere, they are the gateway's own.
void deliver(const model::NodeId& node, AgentMessage message, reconcile::AgentEvents& events);

}  // namespace bridgehead::agent_gateway
