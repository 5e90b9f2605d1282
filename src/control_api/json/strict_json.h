// Reading a request's JSON (RFC 8259) without trusting it: no duplicate names, no invalid UTF-8, limited depth and
// number of values. Stateless. Fails with invalid_argument saying what is wrong and where.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/result.h"

namespace bridgehead::control_api {

inline constexpr std::size_t kDeepestJson = 16;
inline constexpr std::size_t kMostJsonValues = 20'000;

Result<nlohmann::json> parse_strict_json(std::string_view text);

}  // namespace bridgehead::control_api
