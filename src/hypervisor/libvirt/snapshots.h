// Snapshots inside qcow2 disks, with memory when the guest runs; a UEFI guest's variables are copied beside them.
// Free functions over one domain; callers serialise per guest.
#pragma once

#include "hypervisor/libvirt/domains.h"

namespace bridgehead::hypervisor {

// unsupported when a disk isn't qcow2 (its pool clones by reflink); failed_precondition for a UEFI guest that runs.
Status create_snapshot(const FoundDomain& found, const std::string& name);
// The guest's lease stays what it is now; its generation becomes the snapshot's, whose definition it has again.
Status rollback_snapshot(virConnectPtr connection, const FoundDomain& found, const std::string& name);
Status remove_snapshot(const FoundDomain& found, const std::string& name);
// The copies of the variables of all snapshots.
Status remove_snapshot_files(const std::filesystem::path& nvram);

}  // namespace bridgehead::hypervisor
