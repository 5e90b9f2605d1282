// The lease of a guest, checked and stamped beside its disks before anything of it is touched (architecture rule 3:
// one writer per disk; the rule at the disk is model/lease.h). Free functions; thread-safe.
#pragma once

#include <vector>

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// This node's lease of a guest. A new stamp says `keep`, by which nobody else takes the guest for a reason of time; who
// holds it by `stop` changes that (LeaseGuard).
model::LeaseClaim claim_of(const NodeServices& services, const model::VmId& vm, std::uint64_t token,
                           const std::optional<model::PastLeases>& past);
inline model::LeaseClaim claim_of(const NodeServices& services, const model::Vm& vm) {
  return claim_of(services, vm.id, vm.lease, vm.past_leases);
}

// Stamps a lease into each pool that holds a disk of its guest; a stamp that is there already isn't written again.
// failed_precondition: something is stamped of which the claim doesn't say that it is over.
Status stamp_lease(const model::LeaseClaim& claim, const std::vector<PoolHandle>& pools);

// Errors as above; changes nothing.
Status check_lease(const model::LeaseClaim& claim, const std::vector<PoolHandle>& pools);

// How work ends that failed: with the stamp, where one in these pools forbids it.
Outcome failed_under(const NodeServices& services, const model::LeaseClaim& claim,
                     const std::vector<model::Pool>& pools, Error error);

// What is stamped in a pool; nothing where no stamp is.
Result<std::optional<model::LeaseStamp>> read_stamp(const PoolHandle& pool, const model::VmId& vm);

// Removes the stamp where it is this one's or an older one; a newer one belongs to somebody else and stays.
Status release_lease(const model::VmId& vm, std::uint64_t token, const std::vector<PoolHandle>& pools);

}  // namespace bridgehead::host_agent
