// What a node takes now, and who says so. Pure functions of the records and of what was measured.
#pragma once

#include <map>
#include <optional>

#include "model/energy.h"
#include "reconcile/planning/use_history.h"
#include "scheduler/cluster.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

struct NodeWatts {
  double watts = 0;
  model::PowerSource source = model::PowerSource::model;
  bool off = false;      // or asleep
  double idle_part = 1;  // of what it takes by being on, by the model; the rest it takes by being busy
  double least = 0;      // watts of the same machine on and idle, by the model
  bool operator==(const NodeWatts&) const = default;
};

// By the profile of its machine's model, or that of an average server; who can switch it isn't said.
scheduler::PowerModel power_model_of(const state::Inventory& inventory, const model::Node& node);

// Whether the node should be counted: not so a machine that was never part of the cluster.
bool takes_power(const model::Node& node);

// `by_bmc`: what its BMC has said just now. None: nobody knows whether it is on.
std::optional<NodeWatts> watts_of(const state::Inventory& inventory, const UseHistory* use, const model::Node& node,
                                  std::optional<double> by_bmc, Timestamp now);

// Of nodes that are marked to be off: what the plan that marked them has said that this saves.
std::map<model::NodeId, double> promised_watts(const state::Inventory& inventory);

}  // namespace bridgehead::reconcile
