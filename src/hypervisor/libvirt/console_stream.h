// A guest's serial console through libvirt's stream. Thread-safe: one reads, one writes, anyone closes.
// It must be gone before the Hypervisor that opened it.
// libvirtd keeps a console for one user at a time; taking over ends the other's.
#pragma once

#include <memory>

#include "hypervisor/hypervisor.h"
#include "hypervisor/libvirt/handles.h"

namespace bridgehead::hypervisor {

Result<std::unique_ptr<ConsoleStream>> open_console_stream(virConnectPtr connection, virDomainPtr domain,
                                                           bool take_over);

}  // namespace bridgehead::hypervisor
