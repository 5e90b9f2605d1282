// Plans: what would be done now, and the order to do it. The other side of it is operations/plan_apply.cpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reconcile/commands/commands.h"
#include "reconcile/planning/basis.h"

namespace bridgehead::reconcile {

PlanBasis plan_basis(const Commander& commander, PlanScope scope);

// What would be done now. Changes nothing; what is shown is kept on the desk for a while, so that it can be applied by
// its id.
Proposal propose_plan(Commander& commander, PlanScope scope = PlanScope::shown);

// `plan`: the id or name of one that was proposed. failed_precondition when there is nothing to do, when the world
// isn't any more as the plan takes it to be (saying how), or while another plan is being carried out.
Result<Accepted<model::Plan>> apply_plan(Commander& commander, const Caller& caller, const std::string& plan);
// Moves under way end, none begins.
Result<model::Operation> cancel_plan(Commander& commander, const Caller& caller, const std::string& plan);

// One that was applied, or that is on the desk. not_found.
Result<model::Plan> find_plan(const Commander& commander, const std::string& plan);
// What it was made from. not_found when that was too long ago: only the newest are kept.
Result<PlanBasis> find_basis(const Commander& commander, const std::string& plan);

// The plan made again from its record, and whether it is the same.
struct Replay {
  model::Plan plan;
  bool same = false;
};
Result<Replay> replay_plan(const Commander& commander, const std::string& plan);

// Another cluster than there is: what would be planned then?
struct WhatIf {
  std::vector<std::string> remove_nodes;
  struct Node {
    std::uint64_t count = 1;
    std::uint64_t cpus = 0;
    Bytes memory;
  };
  std::vector<Node> add_nodes;
  struct Vm {
    std::string name;
    std::uint64_t cpus = 1;
    Bytes memory;
    std::optional<double> cpu_use;  // CPUs kept busy; none = as for one that was never measured
  };
  std::vector<Vm> add_vms;
};
Result<model::Plan> plan_what_if(const Commander& commander, const WhatIf& request);

// Closes the node and has its guests moved away. No plan and no operation when none is there.
struct Drained {
  model::Node node;
  std::optional<model::Plan> plan;
  std::optional<model::Operation> operation;
};
Result<Drained> drain_node(Commander& commander, const Caller& caller, const std::string& node);
// What emptying these nodes at once would take, and who of their guests would stay, each with the reason: "web can't
// leave node1, ...: it has snapshots". Changes nothing.
struct Evacuation {
  model::Plan plan;
  std::vector<std::string> stay;
};
Evacuation plan_evacuation(const Commander& commander, const std::vector<model::NodeId>& nodes);
Result<model::Node> undrain_node(Commander& commander, const Caller& caller, const std::string& node);

// Removes plans that ended long ago, and all but the newest records of what plans were made from. A periodic duty.
Status trim_plans(state::Inventory& inventory);

}  // namespace bridgehead::reconcile
