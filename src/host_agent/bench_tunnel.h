// A client of a benchmark on this node: one order that came through a tunnel, carried out in a pool. Blocking.
#pragma once

#include "host_agent/pools.h"
#include "host_agent/tunnels.h"
#include "load/client.h"

namespace bridgehead::host_agent {

// Both send the answer, or the client's own error, and end the channel. They stop when the channel breaks: a manager
// that is gone has nobody's figures to collect.
void carry_bench(const std::string& order, const PoolHandle& pool, TunnelChannel& channel, const std::stop_token& stop);
// By the guest that the order names.
void carry_bench_in_guest(const load::ClientOrder& order, hypervisor::Hypervisor& hypervisor, TunnelChannel& channel,
                          const std::stop_token& stop);

}  // namespace bridgehead::host_agent
