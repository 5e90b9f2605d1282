// The pools and networks that this node should have, kept in the journal, so that a node which boots while the manager
// is away can still start its guests. Free functions; thread-safe as the journal is.
#pragma once

#include <vector>

#include "host_agent/journal.h"
#include "model/network.h"
#include "model/pool.h"

namespace bridgehead::host_agent {

struct Remembered {
  std::vector<model::Pool> pools;
  std::vector<model::Network> networks;
};

// What is damaged is left out: the manager tells it again.
Remembered remembered(const Journal& journal);
// Written only when it differs.
Status remember(Journal& journal, const Remembered& what);

}  // namespace bridgehead::host_agent
