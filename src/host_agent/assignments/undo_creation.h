// Undoes a first create that failed: domain, files, exactly the disks that it made, its lease stamps. Where the stamp
// beside the disks isn't this node's any more they belong to whoever has the guest now, and stay. Idempotent.
// Blocking; runs in the guest's lane like an assignment. A libvirt that is being restarted is waited for.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// An error leaves the rest for the next try; the journal keeps the creation.
Status undo_creation(const NodeServices& services, const model::VmId& vm, const Creation& creation);

}  // namespace bridgehead::host_agent
