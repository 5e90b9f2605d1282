#include "reconcile/cluster.h"

#include <set>

#include "reconcile/commands/power.h"
#include "reconcile/operations/records.h"
#include "reconcile/rules.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

// A clone or a blank disk takes next to nothing at first; a pool that hasn't even this is as good as full.
constexpr Bytes kFirstRoom = 64_MiB;

scheduler::NodeSnapshot without_guests(const model::Node& node) {
  scheduler::NodeSnapshot snapshot;
  snapshot.id = node.id;
  snapshot.name = node.name;
  snapshot.state = node.state;
  snapshot.message = node.message;
  snapshot.rack = node.rack;
  snapshot.power_feed = node.power_feed;
  snapshot.to_be_off = node.to_be_off;
  snapshot.schedulable = node.schedulable && !node.draining;
  snapshot.cpus = node.facts.cpus;
  snapshot.memory = node.facts.memory;
  for (const auto& interface : node.facts.interfaces) {
    if (interface.kind == "bridge") snapshot.bridges.insert(interface.name);
  }
  return snapshot;
}

void count(const model::Vm& vm, scheduler::NodeSnapshot& snapshot) {
  const auto taken = allocation_of(vm.spec);
  snapshot.allocated.cpus += taken.cpus;
  snapshot.allocated.memory += taken.memory;
  snapshot.allocated.guests += 1;
}

// The guests that are to move, or move, by the node that they go to. (They still count where they are.)
std::multimap<model::NodeId, model::VmId> coming_guests(const state::Inventory& inventory) {
  std::multimap<model::NodeId, model::VmId> coming;
  for (const auto& operation : inventory.open_operations()) {
    if (operation->value.kind != model::operation_kind::vm_migrate) continue;
    coming.emplace(operations::parameter<std::string>(operation->value, "to", {}), operation->value.target);
  }
  return coming;
}

std::set<std::string> nodes_to_lose_power(const state::Inventory& inventory) {
  std::set<std::string> nodes;
  for (const auto& operation : inventory.open_operations()) {
    if (is_to_lose_power(operation->value)) nodes.insert(operation->value.target);
  }
  return nodes;
}

// A guest that moves is at both ends.
void add_rules(const state::Inventory& inventory, const std::multimap<model::NodeId, model::VmId>& coming,
               scheduler::ClusterSnapshot& cluster) {
  const auto rules = hard_rules(inventory);
  if (rules.empty()) return;
  cluster.rules = snapshots_of(rules);
  const auto add = [&](const model::Vm& vm, const model::NodeId& node) {
    for (const auto index : rules_of(rules, vm)) ++cluster.rules[index].guests[node];
  };
  for (const auto& vm : inventory.all<model::Vm>()) {
    if (!vm->value.node.empty()) add(vm->value, vm->value.node);
  }
  for (const auto& [node, id] : coming) {
    const auto vm = inventory.find<model::Vm>(id);
    if (vm && vm->value.node != node) add(vm->value, node);
  }
}

void count_guests(const state::Inventory& inventory, const std::multimap<model::NodeId, model::VmId>& coming,
                  scheduler::NodeSnapshot& snapshot) {
  for (const auto& vm : inventory.vms_on_node(snapshot.id)) count(vm->value, snapshot);
  const auto [first, last] = coming.equal_range(snapshot.id);
  for (auto entry = first; entry != last; ++entry) {
    const auto vm = inventory.find<model::Vm>(entry->second);
    if (vm && vm->value.node != snapshot.id) count(vm->value, snapshot);
  }
}

}  // namespace

std::vector<scheduler::RuleSnapshot> snapshots_of(const std::vector<model::Rule>& rules) {
  std::vector<scheduler::RuleSnapshot> snapshots;
  for (const auto& rule : rules) {
    snapshots.push_back({.name = rule.name,
                         .kind = rule.kind,
                         .domain = rule.domain,
                         .nodes = {rule.nodes.begin(), rule.nodes.end()},
                         .guests = {}});
  }
  return snapshots;
}

scheduler::Allocation allocation_of(const model::VmSpec& spec) {
  if (spec.power == model::PowerState::stopped) return {};
  return {.cpus = spec.cpus, .memory = spec.memory, .guests = 1};
}

scheduler::NodeSnapshot node_snapshot(const state::Inventory& inventory, const model::Node& node) {
  auto snapshot = without_guests(node);
  count_guests(inventory, coming_guests(inventory), snapshot);
  for (const auto& pool : inventory.all<model::Pool>()) {
    const auto found = pool->value.nodes.find(node.id);
    if (found == pool->value.nodes.end() || pool->value.deleting) continue;
    const auto& there = found->second;
    snapshot.pools[pool->value.id] = {there.ready, there.message, there.total, there.available};
  }
  return snapshot;
}

scheduler::ClusterSnapshot cluster_snapshot(const state::Inventory& inventory, const scheduler::Limits& limits) {
  scheduler::ClusterSnapshot cluster;
  cluster.limits = limits;
  std::map<model::NodeId, std::size_t> index;
  const auto coming = coming_guests(inventory);
  const auto losing_power = nodes_to_lose_power(inventory);
  for (const auto& node : inventory.all<model::Node>()) {
    index.emplace(node->value.id, cluster.nodes.size());
    cluster.nodes.push_back(without_guests(node->value));
    if (losing_power.contains(node->value.id.str())) cluster.nodes.back().schedulable = false;
    count_guests(inventory, coming, cluster.nodes.back());
  }
  add_rules(inventory, coming, cluster);
  for (const auto& pool : inventory.all<model::Pool>()) {
    if (pool->value.deleting) continue;
    for (const auto& [node, there] : pool->value.nodes) {
      const auto found = index.find(node);
      if (found == index.end()) continue;
      cluster.nodes[found->second].pools[pool->value.id] = {there.ready, there.message, there.total, there.available};
    }
  }
  return cluster;
}

void count_sleeping_nodes_in(scheduler::ClusterSnapshot& cluster, const state::Inventory& inventory, Timestamp now) {
  for (auto& node : cluster.nodes) {
    const auto record = inventory.find<model::Node>(node.id);
    node.asleep = record && (is_asleep(inventory, record->value) || is_waking(inventory, record->value, now));
    node.just_woken = record && was_woken(inventory, record->value, now);
  }
}

scheduler::VmRequest placement_request(const state::Inventory& inventory, const model::Vm& vm,
                                       const std::vector<model::Image>& disks, const model::NodeId& pinned) {
  const auto& spec = vm.spec;
  scheduler::VmRequest request;
  request.rules = rules_of(hard_rules(inventory), vm);
  request.cpus = spec.cpus;
  request.memory = spec.memory;
  request.powered_on = spec.power != model::PowerState::stopped;
  if (!pinned.empty()) request.pinned = pinned;
  for (const auto& disk : disks) {
    request.disk_room[disk.pool] += kFirstRoom;
    if (const auto pool = inventory.find<model::Pool>(disk.pool)) request.pool_names[disk.pool] = pool->value.name;
    if (disk.parent.empty()) continue;
    const auto golden = inventory.find<model::Image>(disk.parent);
    if (!golden || golden->value.node.empty()) continue;
    request.image_node = golden->value.node;
    request.image_name = golden->value.name;
  }
  for (const auto& nic : spec.nics) {
    const auto network = inventory.find<model::Network>(nic.network);
    if (network && network->value.kind == model::NetworkKind::bridge) request.bridges.insert(network->value.bridge);
  }
  return request;
}

void charge(scheduler::ClusterSnapshot& cluster, const model::NodeId& id, const scheduler::VmRequest& request) {
  for (auto& node : cluster.nodes) {
    if (node.id != id) continue;
    node.allocated.guests += 1;
    for (const auto rule : request.rules) ++cluster.rules[rule].guests[id];
    if (request.powered_on) {
      node.allocated.cpus += request.cpus;
      node.allocated.memory += request.memory;
    }
    for (const auto& [pool, room] : request.disk_room) {
      auto& available = node.pools[pool].available;
      available = available > room ? available - room : Bytes();
    }
  }
}

}  // namespace bridgehead::reconcile
