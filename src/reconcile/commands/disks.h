// Disks that move to another pool, or become independent of their golden image, while their guest runs or not.
#pragma once

#include <optional>
#include <string>

#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

// Errors: not_found; failed_precondition when it is no disk, not ready, has snapshots, its VM is migrating, the pool
// isn't on its node; resource_exhausted when the pool has too little space.
Result<Accepted<model::Image>> migrate_image(Commander& commander, const Caller& caller, const std::string& image,
                                             const std::string& pool);
Result<Accepted<model::Image>> flatten_image(Commander& commander, const Caller& caller, const std::string& image);

// The open operation that moves or flattens this disk.
std::optional<model::Operation> disk_work_on(const state::Inventory& inventory, const model::Image& image);
// failed_precondition while there is one.
Status check_disk_rests(const state::Inventory& inventory, const model::Image& image);

}  // namespace bridgehead::reconcile
