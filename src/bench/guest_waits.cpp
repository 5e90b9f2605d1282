#include "bench/guest_waits.h"

#include <utility>

#include <fmt/format.h>

namespace bridgehead::bench {

std::string suffering_of(const GuestWaits& waits, const WaitLimits& limits) {
  if (limits.guest_disk_ms > 0 && waits.guest_disk_ms > limits.guest_disk_ms) {
    return fmt::format("a disk operation of a guest takes {:.0f} ms on average, more than {:.0f}", waits.guest_disk_ms,
                       limits.guest_disk_ms);
  }
  if (limits.pressure <= 0) return {};
  for (const auto& [what, percent] :
       {std::pair{"CPU", waits.cpu}, std::pair{"memory", waits.memory}, std::pair{"I/O", waits.io}}) {
    if (percent <= limits.pressure) continue;
    return fmt::format("guests of this node wait for {} in {:.0f} % of the time, more than {:.0f} %", what, percent,
                       limits.pressure);
  }
  return {};
}

}  // namespace bridgehead::bench
