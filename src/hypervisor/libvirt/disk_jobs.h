// What a guest's disks lie in, and QEMU's jobs that change it while the guest runs (block copy, block pull). Free
// functions; callers serialise per guest. See Hypervisor for what each promises.
#pragma once

#include <stop_token>

#include "base/progress.h"
#include "hypervisor/libvirt/domains.h"

namespace bridgehead::hypervisor {

Result<std::optional<DiskInUse>> disk_in_use(const FoundDomain& found, const std::string& name);
Status move_disk(const FoundDomain& found, const GuestDisk& to, const std::function<Status()>& in_step,
                 const ProgressSink& progress, std::stop_token stop);
Status flatten_disk(const FoundDomain& found, const std::string& name, const ProgressSink& progress,
                    std::stop_token stop);
Status end_disk_job(const FoundDomain& found, const std::string& name);
Status use_file(virConnectPtr connection, const FoundDomain& found, const GuestDisk& disk);

}  // namespace bridgehead::hypervisor
