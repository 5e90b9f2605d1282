// A point in time after which nobody waits any more; by the monotonic clock.
#pragma once

#include <algorithm>
#include <chrono>

namespace bridgehead::init {

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds from_now) : end_(std::chrono::steady_clock::now() + from_now) {}

  bool passed() const { return std::chrono::steady_clock::now() >= end_; }
  std::chrono::milliseconds left() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
    return std::max(left, std::chrono::milliseconds{0});
  }
  int poll_timeout() const {
    return static_cast<int>(std::min<std::chrono::milliseconds::rep>(left().count(), 3600000));
  }
  Deadline at_most(std::chrono::milliseconds from_now) const { return Deadline(std::min(left(), from_now)); }

 private:
  std::chrono::steady_clock::time_point end_;
};

}  // namespace bridgehead::init
