// What benchmarks have left in pools, and its removal. Blocking; thread-safe.
#pragma once

#include "load/client.h"
#include "reconcile/agent_port.h"
#include "state/inventory.h"

namespace bridgehead::bench_desk {

// The order for a node of the benchmark; its folder is named by the benchmark's id, since pools may be shared with
// other managers.
load::ClientOrder order_for(const model::Benchmark& benchmark, const std::string& node, load::ClientOrder order = {});

struct Cleaning {
  state::Inventory& inventory;
  reconcile::AgentPort& agents;
  reconcile::TunnelBroker& tunnels;
  std::stop_token stop;
};

// Has it removed by nodes that are there, crosses out what is, and what is about nodes or pools that are no longer in
// the cluster. Of a shared pool one node is enough. What nobody could remove now stays noted.
void clean(const Cleaning& with, const model::BenchmarkId& benchmark);

}  // namespace bridgehead::bench_desk
