// api/openapi.yaml as it was when this was compiled.
#pragma once

#include <string_view>

namespace bridgehead::control_api {

std::string_view openapi_yaml();

}  // namespace bridgehead::control_api
