// What running guests have used, asked of libvirt in one call. Thread-safe.
#pragma once

#include "hypervisor/hypervisor.h"
#include "hypervisor/libvirt/handles.h"

namespace bridgehead::hypervisor {

// A guest that libvirt is busy with is told of in part: what its process uses is known without asking it.
Result<std::vector<GuestCounters>> count_guests(virConnectPtr connection);

}  // namespace bridgehead::hypervisor
