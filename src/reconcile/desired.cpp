#include "reconcile/desired.h"

#include <algorithm>
#include <map>

#include "reconcile/commands/netboot.h"

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

std::vector<model::SecretFile> secret_files_for_node(const state::Inventory& inventory, const model::NodeId& node) {
  const auto record = inventory.find<model::Node>(node);
  if (!record || !record->value.netboot || record->value.netboot->approval != model::Approval::approved) return {};
  const auto& machine = *record->value.netboot;
  std::map<std::string, model::SecretFile> by_path;
  if (const auto profile = find_profile(inventory, machine.profile)) {
    for (const auto& file : profile->secret_files) by_path[file.path] = file;
  }
  for (const auto& file : machine.secret_files) by_path[file.path] = file;
  std::vector<model::SecretFile> files;
  for (auto& [path, file] : by_path) files.push_back(std::move(file));
  return files;
}

}  // namespace bridgehead::reconcile
