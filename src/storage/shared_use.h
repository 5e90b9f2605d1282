// Is a mount fit for images that several hosts open? Judged by what the kernel says is mounted, whoever mounted it;
// that locks really hold is tried besides (pool_trials.h).
#pragma once

#include "base/result.h"
#include "storage/mount_table.h"

namespace bridgehead::storage {

// failed_precondition with what to mount differently: a file system of one machine (ext4, xfs, ...), Lustre with
// "localflock" or "noflock", NFS with local locks or "soft".
Status check_shared_use(const MountEntry& mount);

// The mount under a directory that somebody else mounts. It may still have to be made; what it would be made in must be
// there (else not_found), or an unmounted mount point would become a pool of this machine's own. Looks at the file
// system.
Result<MountEntry> mount_under(const std::filesystem::path& directory);

}  // namespace bridgehead::storage
