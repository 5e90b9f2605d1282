// What a node should have, for the first message on its stream (level-triggered: a node that was away catches up with
// it). Pure reads of the inventory; thread-safe.
#pragma once

#include <vector>

#include "state/inventory.h"

namespace bridgehead::reconcile {

// A pool limited to some nodes has their ids in Pool::limited_to.
bool pool_wanted_on(const model::Pool& pool, const model::NodeId& node);
std::vector<model::Pool> pools_for_node(const state::Inventory& inventory, const model::NodeId& node);
std::vector<model::Network> networks_for_node(const state::Inventory& inventory, const model::NodeId& node);
// Its own and its profile's; none for a node that wasn't approved or doesn't boot over the network. In order of paths.
std::vector<model::SecretFile> secret_files_for_node(const state::Inventory& inventory, const model::NodeId& node);

}  // namespace bridgehead::reconcile
