// Is a mount fit for images that several hosts open? Judged by what the kernel says is mounted, whoever mounted it;
// that locks really hold is tried besides (pool_trials.h). Pure.
#pragma once

#include "base/result.h"
#include "storage/mount_table.h"

namespace bridgehead::storage {

// failed_precondition with what to mount differently: a file system of one machine (ext4, xfs, ...), Lustre with
// "localflock" or "noflock", NFS with local locks or "soft".
Status check_shared_use(const MountEntry& mount);

}  // namespace bridgehead::storage
