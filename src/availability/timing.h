// Time and how long things take here. Plain values.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/result.h"

namespace bridgehead::availability {

using Span = std::chrono::milliseconds;

// Time since a machine's boot, with the time that it slept (CLOCK_BOOTTIME). Meaningful on that machine and in that
// boot only. A type of its own, so that nobody passes a clock that stands still while the machine sleeps, or one that a
// person can set.
struct BootClock {
  using rep = Span::rep;
  using period = Span::period;
  using duration = Span;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};
using BootTime = BootClock::time_point;

// Now. For whoever drives the rules; nothing here calls it.
BootTime boot_time();

struct Timing {
  // Leases. The same on manager and agents.
  Span lease{12'000};       // how long an answer to a renewal is good for, from when the renewal was sent
  Span renew_every{3'000};  // so three may be lost
  Span stop_before{4'000};  // a guest that must stop is killed so long before its lease ends
  Span watchdog{10'000};    // a host whose watchdog isn't fed for so long is reset
  Span slack{1'000};
  std::int64_t drift_ppm = 1'000;  // the most by which a machine's clock runs wrong, in millionths

  // What the manager makes of silence.
  Span suspect_after{9'000};    // without a renewal
  Span check_for{4'000};        // so long the other ways are asked
  Span patience{20'000};        // a node that lives but is cut off, or whose agent hangs, is waited for
  Span grace{30'000};           // after the manager's start or its own absence nobody is silent
  Span own_gap{6'000};          // two ticks so far apart: the manager itself was away
  Span flap_window{600'000};    // a link that came back in this time makes the next silence count later
  Span storm_window{300'000};   // nodes that fell silent within it count together
  Span look_every{2'000};       // at a node's heartbeat in the pool
  Span quiet{6'000};            // it must stand still so long after "off"
  Span power_deadline{20'000};  // of one order to the power control, or one reading
  int power_attempts = 3;
  Span lock_deadline{60'000};  // of freeing a dead node's locks; then guests are tried all the same, and this each time
  Span calm{600'000};          // a guest that ran so long isn't blamed for a host's death any more
  Span ask_every{600'000};     // a person is asked again
  unsigned starts_per_node = 8;
  unsigned storm_share = 3;  // more than one in so many nodes silent at once is a storm
};

// After so long by the manager's clock a lease has ended by every clock, and a host that didn't stop its guests has
// been reset by its watchdog. Counted from the last answer to a renewal, or from when a claim can be read in the pool.
constexpr Span lapses_after(const Timing& timing) {
  const auto longest = (timing.lease + timing.watchdog).count();
  // A clock that goes wrong by d shows at least 1 - d and at most 1 + d of what has passed.
  return Span((longest * (1'000'000 + timing.drift_ppm)) / (1'000'000 - timing.drift_ppm) + 1) + timing.slack;
}

// invalid_argument: with these times leases would end for no reason, or not in time.
Status check(const Timing& timing);

}  // namespace bridgehead::availability
