// How far an operation node.upgrade is: what its parameters say, as a value. Pure; nothing fails: only this program
// writes them.
#pragma once

#include <string>
#include <vector>

#include "model/operation.h"
#include "state/inventory.h"

namespace bridgehead::reconcile::operations {

inline constexpr char kNodeUpgrade[] = "node.upgrade";    // on the node
inline constexpr char kAgentRollout[] = "agent.rollout";  // on the version; parameters: rollout_state.h

// wait: nothing has been done, and it can be cancelled. send: its agent may have the order. install: it has it. The
// upgrade desk takes it from one to the next.
enum class UpgradeStage { wait, send, install };
// What the node said of its installation.
enum class UpgradeOutcome { none, done, failed };

struct UpgradeState {
  std::string version;            // of the package that it is to have
  std::string before;             // of the one that it has, for the way back
  bool without_way_back = false;  // also where that package isn't here any more
  UpgradeStage stage = UpgradeStage::wait;
  std::vector<std::string> pools;  // ids of those that were ready there before
  Timestamp since{};               // when its agent had the order; then, when it had done it
  UpgradeOutcome outcome = UpgradeOutcome::none;
  std::string failure;  // of outcome failed
  std::string hint;

  bool operator==(const UpgradeState&) const = default;
};

UpgradeState upgrade_of(const model::Operation& operation);
void put_upgrade(model::Operation& operation, const UpgradeState& state);

// The open node.upgrade of this node; null = none.
state::Record<model::Operation> upgrade_on(const state::Inventory& inventory, const model::NodeId& node);

}  // namespace bridgehead::reconcile::operations
