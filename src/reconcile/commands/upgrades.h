// Commands that upgrade agents which came with the Debian package. The rules of commands.h hold. The other side of
// them: operations/agent_rollout.cpp and node_upgrade.cpp.
#pragma once

#include <string>
#include <vector>

#include "reconcile/commands/commands.h"
#include "reconcile/upgrade_port.h"

namespace bridgehead::reconcile {

struct UpgradeNodes {
  std::vector<std::string> nodes;  // ids, names, or patterns such as "rack1-*"
  bool all = false;                // in their place: each node whose agent came with the package
  std::string version;             // "" = the one that came with this manager
  std::uint64_t max_unavailable = 1;
  std::uint64_t canary = 1;
  bool without_way_back = false;  // also where the package of the version that a node has isn't here
};

// Has the nodes' agents upgraded to the version that came with this manager, one after the other; those that have it
// are left alone. failed_precondition with all that stands in the way, of all nodes.
Result<model::Operation> upgrade_nodes(Commander& commander, const Caller& caller, const UpgradePort& packages,
                                       const UpgradeNodes& request);

}  // namespace bridgehead::reconcile
