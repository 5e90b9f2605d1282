// What the scheduler needs, taken from the inventory. Pure reads; thread-safe.
#pragma once

#include <vector>

#include "model/image.h"
#include "model/planning.h"
#include "model/vm.h"
#include "scheduler/scheduler.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

// Every node with what the guests placed on it take, and those on their way to it. Work grows with the number of VMs.
scheduler::ClusterSnapshot cluster_snapshot(const state::Inventory& inventory, const scheduler::Limits& limits);
scheduler::NodeSnapshot node_snapshot(const state::Inventory& inventory, const model::Node& node);

// Nodes that are switched off to save power and may be switched on again take part, for guests that are made.
void count_sleeping_nodes_in(scheduler::ClusterSnapshot& cluster, const state::Inventory& inventory, Timestamp now);

// As the scheduler knows them; their guests are to be counted in.
std::vector<scheduler::RuleSnapshot> snapshots_of(const std::vector<model::Rule>& rules);

// What a guest takes of its node: nothing while it is meant to be stopped.
scheduler::Allocation allocation_of(const model::VmSpec& spec);

// What a VM with these disk images needs. `pinned`: the user's choice of a node, "" = none.
scheduler::VmRequest placement_request(const state::Inventory& inventory, const model::Vm& vm,
                                       const std::vector<model::Image>& disks, const model::NodeId& pinned);

// Counts a placement in, so that the next one sees it.
void charge(scheduler::ClusterSnapshot& cluster, const model::NodeId& node, const scheduler::VmRequest& request);

}  // namespace bridgehead::reconcile
