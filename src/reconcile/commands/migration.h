// Live migration: may a guest move to a node, and the order to do it.
#pragma once

#include <string>
#include <vector>

#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

// One thing that must hold before a guest can move.
struct MigrationCheck {
  std::string name;  // "pools"
  bool passed = true;
  std::string message;  // what is wrong
  std::string fix;      // what to do about it
};

// All checks for one target, passed or not.
struct MigrationChecks {
  model::NodeId node;
  std::string node_name;
  std::vector<MigrationCheck> checks;
  bool passed() const;
};

// For `target`, or for every other node when it is "". Reads only.
Result<std::vector<MigrationChecks>> check_migration(const state::Inventory& inventory, const scheduler::Limits& limits,
                                                     const std::string& vm, const std::string& target);

struct MigrateVm {
  std::string to;  // "" = the least loaded node that passes all checks
  bool post_copy = false;
};
// Moves a running guest. failed_precondition with every check that failed, and its fix.
Result<Accepted<model::Vm>> migrate_vm(Commander& commander, const Caller& caller, const std::string& vm,
                                       const MigrateVm& request);

}  // namespace bridgehead::reconcile
