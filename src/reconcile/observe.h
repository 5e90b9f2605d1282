// observe: takes in what nodes report about guests, pools and themselves, and adopts the truth. Pure functions from the
// inventory and one report to changes; what is committed and when is the core's business.
//
// Rules: a guest's user may power it off from inside, and that is then what is wanted. A guest that stopped because its
// node was restarted is started again if its spec says so. A guest that vanished is made again from its record and its
// disks. A guest that no record knows is never touched, unless an operation of ours is known to have deleted it. A copy
// on another node than its record's, under an older lease, is removed from there.
#pragma once

#include <optional>

#include "base/random.h"
#include "model/assignment.h"
#include "reconcile/changes.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

struct Moment {
  const state::Inventory& inventory;
  RandomSource& random;
  Timestamp now{};
};

struct ObserveResult {
  Changes changes;
  bool orphan = false;  // no record knows it there and none of our operations deleted it
};

struct Circumstances {
  bool whole_report = false;        // the truth at that moment; otherwise a single message, which may be late
  std::optional<Timestamp> booted;  // when the node's kernel started, if it is known
  // The node of the guest's record is connected or given up, so that its status there is no old one.
  bool home_is_judged = false;
};
ObserveResult observe_vm(const Moment& moment, const model::NodeId& node, const model::ObservedVm& observed,
                         const Circumstances& circumstances);

// The node doesn't have this guest (any more).
Changes observe_gone(const Moment& moment, const model::NodeId& node, const model::VmId& vm);

// What is wanted becomes what is, for a guest that no operation is working on. Empty when there is nothing to adopt.
Changes adopt_power(const Moment& moment, const state::Record<model::Vm>& vm, const model::VmStatus& status);

// Its node can't be reached: nobody knows how it is.
Changes observe_unreachable(const Moment& moment, const state::Record<model::Vm>& vm, const std::string& node_name);

// A deletion that had been given up is tried again when its node is back.
Changes resume_deletion(const Moment& moment, const state::Record<model::Vm>& vm);

Changes observe_facts(const Moment& moment, const model::NodeId& node, const model::NodeFacts& facts);

// What several nodes say about one pool; small changes of the free space are not worth a write.
using PoolReports = std::map<model::NodeId, std::optional<model::PoolOnNode>>;  // none: not there
Changes observe_pool(const Moment& moment, const model::PoolId& pool, const PoolReports& reports);

struct NodeVerdict {
  model::NodeState state = model::NodeState::ready;
  std::string message;
};
// Of a node that can be reached.
NodeVerdict judge_node(const state::Inventory& inventory, const model::Node& node, std::size_t orphans,
                       const model::SecretsOnNode& secrets);

// Did the node's kernel start after the guest entered this phase? ("unknown" keeps the time of the phase before it.)
bool restarted_since(const model::VmStatus& status, Timestamp booted);

}  // namespace bridgehead::reconcile
