// What in the cluster needs a person, for GET /status. Free functions; thread-safe.
#pragma once

#include <nlohmann/json.hpp>

#include "control_api/services.h"

namespace bridgehead::control_api {

// Whether the node should be up: not so a machine that only waits for approval or for an image.
bool is_member(const model::Node& node);

// [{"object_kind","object","message","action"}]
nlohmann::json find_problems(const Services& services);

}  // namespace bridgehead::control_api
