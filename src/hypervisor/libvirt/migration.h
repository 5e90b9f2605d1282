// Live migration of one domain by libvirt's peer-to-peer protocol. Blocks until it has ended; callers serialise per
// guest.
#pragma once

#include <functional>
#include <stop_token>

#include "base/progress.h"
#include "hypervisor/libvirt/domains.h"

namespace bridgehead::hypervisor {

// Asks or tells libvirtd something about the domain that moves, over another connection than the one that moves it.
using AskAboutJob = std::function<void(const std::function<void(virDomainPtr)>& question)>;

// See Hypervisor::migrate.
Status migrate(const FoundDomain& found, const MigrationRoute& route, MigrationMode mode, const AskAboutJob& ask,
               const ProgressSink& progress, std::stop_token stop);

}  // namespace bridgehead::hypervisor
