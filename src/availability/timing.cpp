#include "availability/timing.h"

#include <ctime>

namespace bridgehead::availability {

BootTime boot_time() {
  timespec time{};
  if (::clock_gettime(CLOCK_BOOTTIME, &time) != 0) abort_with("this kernel has no CLOCK_BOOTTIME");
  return BootTime(std::chrono::seconds(time.tv_sec) +
                  std::chrono::duration_cast<Span>(std::chrono::nanoseconds(time.tv_nsec)));
}

Status check(const Timing& timing) {
  if (timing.drift_ppm < 0 || timing.drift_ppm > 100'000) {
    return fail(ErrorCode::invalid_argument, "a clock may go wrong by 0 to 10 %, not by {} millionths",
                timing.drift_ppm);
  }
  if (timing.renew_every <= Span(0) || timing.renew_every * 2 > timing.lease - timing.stop_before) {
    return fail(ErrorCode::invalid_argument,
                "with renewals every {} ms and guests stopped after {} ms, one lost message "
                "would stop guests",
                timing.renew_every.count(), (timing.lease - timing.stop_before).count());
  }
  if (timing.stop_before <= Span(0) || timing.watchdog <= Span(0) || timing.slack < Span(0)) {
    return fail(ErrorCode::invalid_argument, "no time to stop guests in");
  }
  if (timing.suspect_after < timing.renew_every * 2) {
    return fail(ErrorCode::invalid_argument, "one lost message would make a node suspected");
  }
  return {};
}

}  // namespace bridgehead::availability
