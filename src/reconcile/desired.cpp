#include "reconcile/desired.h"

#include <algorithm>

namespace bridgehead::reconcile {

bool pool_wanted_on(const model::Pool& pool, const model::NodeId& node) {
  return pool.limited_to.empty() ||
         std::find(pool.limited_to.begin(), pool.limited_to.end(), node) != pool.limited_to.end();
}

std::vector<model::Pool> pools_for_node(const state::Inventory& inventory, const model::NodeId& node) {
  std::vector<model::Pool> pools;
  for (const auto& record : inventory.all<model::Pool>()) {
    const auto& pool = record->value;
    if (pool.deleting || !pool_wanted_on(pool, node)) continue;
    pools.push_back(pool);
    pools.back().nodes.clear();  // what other nodes found is none of this one's business
  }
  return pools;
}

std::vector<model::Network> networks_for_node(const state::Inventory& inventory, const model::NodeId&) {
  std::vector<model::Network> networks;
  for (const auto& record : inventory.all<model::Network>()) {
    if (!record->value.deleting) networks.push_back(record->value);
  }
  return networks;
}

}  // namespace bridgehead::reconcile
