// What moving and flattening a disk have in common. Free functions; thread-safe.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

inline bool lives(const hypervisor::GuestInfo& guest) {
  return guest.state == hypervisor::GuestState::running || guest.state == hypervisor::GuestState::paused;
}

// The guest of a disk, absent for a detached one. Errors: failed_precondition when it has snapshots, which hold its
// disks, or a newer lease than the work.
Result<hypervisor::GuestInfo> guest_of_disk(const NodeServices& services, const model::VmId& vm, std::uint64_t lease,
                                            const Task& task);

// A job in QEMU that takes long, begun or taken up again by `job`; when libvirt goes away meanwhile it is waited for a
// while and asked again, since the job goes on without it.
Status through_job(const NodeServices& services, const model::VmId& vm, const Task& task,
                   const std::function<Status()>& job);

// The disk as it is in the pool now.
model::Image stored_as(model::Image image, const storage::StoredImage& stored);

}  // namespace bridgehead::host_agent
