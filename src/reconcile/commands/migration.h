// Live migration: may a guest move to a node, which of its disks go along, and the order to do it.
#pragma once

#include <string>
#include <vector>

#include "reconcile/commands/commands.h"
#include "reconcile/operations/disk_copies.h"

namespace bridgehead::reconcile {

// One thing that must hold before a guest can move.
struct MigrationCheck {
  std::string name;  // "pools"
  bool passed = true;
  std::string message;  // what is wrong; of one that passed, what moving there means
  std::string fix;      // what to do about it
};

// All checks for one target, passed or not.
struct MigrationChecks {
  model::NodeId node;
  std::string node_name;
  std::vector<MigrationCheck> checks;
  std::vector<operations::DiskCopy> copies;  // the disks that go along
  bool passed() const;
};

struct MigrateVm {
  std::string to;  // "" = the least loaded node that passes all checks; one that needs no copies of disks is preferred
  std::string pool;  // for disks that go along; "" = each into the pool that it is in
  bool post_copy = false;
};

// For the target, or for every other node when none is named. Reads only.
Result<std::vector<MigrationChecks>> check_migration(const state::Inventory& inventory, const scheduler::Limits& limits,
                                                     const std::string& vm, const MigrateVm& request);

// Moves a running guest. failed_precondition with every check that failed, and its fix.
Result<Accepted<model::Vm>> migrate_vm(Commander& commander, const Caller& caller, const std::string& vm,
                                       const MigrateVm& request);

}  // namespace bridgehead::reconcile
