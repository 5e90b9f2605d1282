// A question to an agent through a tunnel, whose answer is short and comes once. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>

#include "reconcile/agent_port.h"

namespace bridgehead::reconcile {

inline constexpr std::size_t kLongestAnswer = 64 << 10;  // what comes after that is left out

// `told` is called exactly once, from any thread, perhaps before this returns: with the answer, or the agent's own
// error, or unavailable (the node is away, or went away). The tunnel may be closed to give up; null where there is
// none.
std::shared_ptr<Tunnel> ask_agent(TunnelBroker& tunnels, const model::NodeId& node, const TunnelRequest& request,
                                  std::function<void(Result<std::string>)> told);

// Blocking. Errors besides those: timeout, cancelled.
Result<std::string> ask_agent(TunnelBroker& tunnels, const model::NodeId& node, const TunnelRequest& request,
                              std::chrono::milliseconds patience, const std::stop_token& stop);

}  // namespace bridgehead::reconcile
