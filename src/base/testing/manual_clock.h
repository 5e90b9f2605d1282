// A clock that moves only when a test says so. Thread-safe.
#pragma once

#include <mutex>

#include "base/clock.h"

namespace bridgehead::testing {

class ManualClock final : public Clock {
 public:
  Timestamp now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  Monotonic monotonic() const override {
    const std::lock_guard lock(mutex_);
    return monotonic_;
  }
  void advance(std::chrono::milliseconds by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
    monotonic_ += by;
  }

 private:
  mutable std::mutex mutex_;
  Timestamp now_{std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)};
  Monotonic monotonic_{std::chrono::hours(1)};
};

}  // namespace bridgehead::testing
