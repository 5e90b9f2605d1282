// The lease of a guest, checked and stamped beside its disks before anything of it is touched (architecture rule 3:
// one writer per disk). Free functions; thread-safe.
#pragma once

#include <vector>

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// Stamps this node's right to run `vm` into each pool that holds a disk of it; a stamp that is there already isn't
// written again. Errors: failed_precondition when a higher token is stamped, or the same one by another node.
Status stamp_lease(const NodeServices& services, const model::VmId& vm, std::uint64_t token,
                   const std::vector<PoolHandle>& pools);

// What is stamped in a pool; nothing where no stamp is.
Result<std::optional<storage::LeaseStamp>> read_stamp(const PoolHandle& pool, const model::VmId& vm);

// Removes the stamp where it is this one's or an older one; a newer one belongs to somebody else and stays.
Status release_lease(const model::VmId& vm, std::uint64_t token, const std::vector<PoolHandle>& pools);

// failed_precondition when the guest was meanwhile leased to somebody else under a higher token.
Status check_lease(const model::VmId& vm, std::uint64_t token, const std::vector<PoolHandle>& pools);

}  // namespace bridgehead::host_agent
