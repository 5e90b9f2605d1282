// Disks that come along with a migrating guest (docs/decisions/0020), on the target: files that wait for them, marked
// as incomplete until the guest has come and its source has given it up. Free functions; thread-safe.
#pragma once

#include <vector>

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// Makes a blank file for each, in place of what an attempt before has left. Errors: conflict where a whole file of that
// disk is there; resource_exhausted; a pool's.
Result<std::vector<model::WaitingDisk>> make_waiting_disks(const NodeServices& services, const model::AcceptVm& work,
                                                           const model::OperationId& operation);

// From now on these are the guest's disks.
Status keep_disks(const NodeServices& services, const std::vector<model::Image>& disks,
                  const std::vector<model::Pool>& pools);
// Whether they are that: then the guest was taken over here, whatever has become of it since.
Result<bool> were_kept(const NodeServices& services, const std::vector<model::Image>& disks,
                       const std::vector<model::Pool>& pools);

// The source has given the guest up: its disks are kept, and it goes on here. Error: it has not come in whole.
Status take_over(const NodeServices& services, const model::AcceptVm& work);

}  // namespace bridgehead::host_agent
