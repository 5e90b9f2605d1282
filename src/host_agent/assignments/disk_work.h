// What moving and flattening a disk have in common. Free functions; thread-safe.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

// The guest of a disk, absent for a detached one. Errors: failed_precondition when it has snapshots, which hold its
// disks, or a newer lease than the work.
Result<hypervisor::GuestInfo> guest_of_disk(const NodeServices& services, const model::VmId& vm, std::uint64_t lease,
                                            const Task& task);

// A job in QEMU that takes long, begun or taken up again by `job`; when libvirt goes away meanwhile it is waited for a
// while and asked again, since the job goes on without it.
Status through_job(const NodeServices& services, const model::VmId& vm, const Task& task,
                   const std::function<Status()>& job);

// Of a copy that QEMU makes while its guest runs. qcow2 stays, for snapshots; and where a pool can't take zeros back as
// holes, QEMU would write all that a raw disk lacks.
model::ImageFormat copy_format(model::ImageFormat now, const PoolHandle& to);

// The disk as it is in the pool now.
model::Image stored_as(model::Image image, const storage::StoredImage& stored);

}  // namespace bridgehead::host_agent
