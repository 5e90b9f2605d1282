// Which node to ask about what is in a pool. For the .cpp files of this folder. Errors: unavailable when none can be
// asked.
#pragma once

#include "control_api/services.h"

namespace bridgehead::control_api {

// Any connected one that has the pool ready.
Result<model::NodeId> node_with(const Services& services, const model::Pool& pool);
// The one that holds the image; of a shared pool any.
Result<model::NodeId> node_with(const Services& services, const model::Image& image, const model::Pool& pool);

}  // namespace bridgehead::control_api
