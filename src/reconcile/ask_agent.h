// A question to an agent through a tunnel, whose answer is short and comes once. Blocking; thread-safe.
#pragma once

#include <chrono>
#include <stop_token>

#include "reconcile/agent_port.h"

namespace bridgehead::reconcile {

inline constexpr std::size_t kLongestAnswer = 64 << 10;  // what comes after that is left out

// Errors: the agent's own, unavailable (the node is away, or went away), timeout, cancelled.
Result<std::string> ask_agent(TunnelBroker& tunnels, const model::NodeId& node, const TunnelRequest& request,
                              std::chrono::milliseconds patience, const std::stop_token& stop);

}  // namespace bridgehead::reconcile
