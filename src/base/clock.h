// Time as an input. Decisions take a Clock (or a Timestamp), never the system's own time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bridgehead {

// Wall-clock time in UTC, milliseconds; what is stored and shown.
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;
// Never goes back; what deadlines and leases are measured with.
using Monotonic = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;
  virtual Monotonic monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  Timestamp now() const override;
  Monotonic monotonic() const override;
};

// RFC 3339 in UTC with milliseconds: 2026-01-31T12:00:00.000Z
std::string to_rfc3339(Timestamp time);
Result<Timestamp> parse_rfc3339(std::string_view text);

}  // namespace bridgehead
