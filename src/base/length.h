// Lengths of time as people write them. Stateless, thread-safe.
#pragma once

#include <chrono>
#include <string_view>

#include "base/result.h"

namespace bridgehead {

// "90s", "5m", "1h30m", "7d", "0.5d". invalid_argument for anything else.
Result<std::chrono::duration<double>> parse_length(std::string_view text);

}  // namespace bridgehead
