// What handlers of machines' power and consoles share.
#pragma once

#include "control_api/services.h"

namespace bridgehead::control_api {

// failed_precondition: this manager was started without.
Result<reconcile::PowerPort*> need_power(const Services& services);

}  // namespace bridgehead::control_api
