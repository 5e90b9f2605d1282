// One order of a benchmark, to a client on a node, through a tunnel. Blocking; thread-safe.
#pragma once

#include <stop_token>

#include "load/client.h"
#include "reconcile/agent_port.h"

namespace bridgehead::bench_desk {

// Errors: the client's own, unavailable (the node is away, or went away), timeout, cancelled.
Result<load::ClientAnswer> ask_node(reconcile::TunnelBroker& tunnels, const model::NodeId& node,
                                    const model::Pool& pool, const load::ClientOrder& order,
                                    std::chrono::milliseconds patience, const std::stop_token& stop);

}  // namespace bridgehead::bench_desk
