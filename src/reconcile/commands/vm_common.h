// What commands on one VM have in common. Internal to commands.
#pragma once

#include <string>
#include <vector>

#include "reconcile/commands/draft.h"

namespace bridgehead::reconcile::vm_common {

// Exists and isn't being deleted. `placed`: has been created, too.
Result<state::Record<model::Vm>> usable(const state::Inventory& inventory, const std::string& reference,
                                        bool placed = true);

// Writes `vm` (generation grown if it differs) with its operation, which remembers what was changed in the spec.
Accepted<model::Vm> change(Draft& draft, const state::Record<model::Vm>& read, model::Vm vm,
                           model::Operation operation);

// failed_precondition unless the node has what the guest would take more than before.
Status check_room(Draft& draft, const model::Vm& before, const model::VmSpec& after);

// failed_precondition where a disk is on its node alone: the guest can't start elsewhere.
Status check_may_restart(const state::Inventory& inventory, const model::Vm& vm);

}  // namespace bridgehead::reconcile::vm_common
