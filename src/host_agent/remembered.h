// The pools and networks that this node should have, kept in the journal, so that a node which boots while the manager
// is away can still start its guests, and nothing stays behind that was deleted while this node was away. Free
// functions; thread-safe as the journal is.
#pragma once

#include <vector>

#include "host_agent/journal.h"
#include "model/network.h"
#include "model/pool.h"

namespace bridgehead::host_agent {

struct Remembered {
  std::vector<model::Pool> pools;
  std::vector<model::Network> networks;
  std::vector<model::Network> gone_networks;  // deleted by the manager: to be removed here, then forgotten
};

// What is damaged is left out: the manager tells it again.
Remembered remembered(const Journal& journal);
// All that the manager wants; networks known until now and not among them become gone ones. Written only when it
// differs.
Status remember(Journal& journal, const std::vector<model::Pool>& pools, const std::vector<model::Network>& networks);
// One more, or one less.
Status remember(Journal& journal, const model::Pool& pool);
Status remember(Journal& journal, const model::Network& network);
Status forget(Journal& journal, const model::PoolId& pool);
Status forget(Journal& journal, const model::NetworkId& network);
// To be removed, now or as soon as that is possible.
Status mark_gone(Journal& journal, const model::Network& network);

}  // namespace bridgehead::host_agent
