// What becomes of a guest's disks when it moves to another node: those that both nodes share stay where they are, the
// others go along. Internal to commands.
#pragma once

#include "reconcile/commands/migration.h"

namespace bridgehead::reconcile {

struct MigratedDisks {
  MigrationCheck check;  // "pools"
  std::vector<operations::DiskCopy> copies;
};

// `into`: the pool for those that go along; null: each into the pool that it is in, on the other node.
MigratedDisks plan_migrated_disks(const state::Inventory& inventory, const model::Vm& vm, const model::Node& source,
                                  const model::Node& target, const model::Pool* into);

}  // namespace bridgehead::reconcile
