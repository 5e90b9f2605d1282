// What the handlers of netboot and node images share.
#pragma once

#include "control_api/services.h"
#include "reconcile/commands/netboot.h"

namespace bridgehead::control_api {

// failed_precondition where this manager boots no machines.
Result<reconcile::NetbootPort*> need_netboot(const Services& services);

}  // namespace bridgehead::control_api
