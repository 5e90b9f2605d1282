// Live migration of one domain by libvirt's peer-to-peer protocol. Blocks until it has ended; callers serialise per
// guest.
#pragma once

#include <stop_token>

#include "base/progress.h"
#include "hypervisor/libvirt/domains.h"

namespace bridgehead::hypervisor {

// See Hypervisor::migrate. failed_precondition: it has snapshots, which libvirt can't take along.
Status migrate(const FoundDomain& found, const MigrationRoute& route, const ProgressSink& progress,
               std::stop_token stop);

}  // namespace bridgehead::hypervisor
