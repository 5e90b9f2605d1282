// RaplMeter: the watts that a machine's CPUs and their memory take, as they count it themselves (Linux powercap,
// "intel-rapl" of Intel's and AMD's CPUs). Fans, disks and the power supply's loss aren't in it. Not thread-safe. Never
// fails: where a counter is missing or can't be read there are no watts.
// Format: https://www.kernel.org/doc/html/v6.1/power/powercap/powercap.html
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"

namespace bridgehead::host_agent {

class RaplMeter {
 public:
  // `root`: below which /sys is read.
  explicit RaplMeter(std::filesystem::path root) : root_(std::move(root)) {}

  // The mean since the call before, by a clock that only goes on. None: the first call, no counters, or so long ago
  // that they may have wrapped around more than once.
  std::optional<double> watts(Monotonic now);

 private:
  struct Counter {
    std::uint64_t microjoules = 0;
    std::uint64_t range = 0;  // it begins again at 0 after this
    bool operator==(const Counter&) const = default;
  };
  std::map<std::string, Counter> read() const;

  const std::filesystem::path root_;
  std::map<std::string, Counter> before_;
  Monotonic looked_{};
};

}  // namespace bridgehead::host_agent
