// Load: how much CPU a guest wants over time, as a value from which any interval can be had at once, so that 100,000
// guests over weeks take no memory. Follows what was published of real guests (trace_statistics.h) or an imported
// trace. Pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"

namespace bridgehead::simulation {

// Public traces have a mean and a peak of each five minutes; so do ours.
inline constexpr std::chrono::seconds kInterval{300};
inline constexpr int kMinutes = 5;  // of an interval

// Parts of the guest's virtual CPUs, 0 to 1.
struct IntervalLoad {
  float average = 0;
  float peak = 0;
};

enum class Rhythm : std::uint8_t {
  steady,  // by day and night
  daily,   // people use it: more by day than by night, less at weekends
  office,  // hardly used outside office hours
};

struct LoadCurve {
  Rhythm rhythm = Rhythm::steady;
  float average = 0;       // over a week
  float peak = 0;          // the 95th percentile of the intervals' peaks; at least the average
  float shift = 0;         // hours by which its day is later than others'
  std::uint64_t seed = 0;  // of what looks like chance
  // An imported trace takes the place of all the above; it begins with the guest and repeats after its end.
  std::shared_ptr<const std::vector<IntervalLoad>> imported;
  std::int64_t first_interval = 0;  // when the imported trace begins
};

constexpr std::int64_t interval_of(Timestamp time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count() / kInterval.count();
}

IntervalLoad load_in(const LoadCurve& curve, std::int64_t interval);

// Of one minute of the interval: one minute has the peak as far as the average allows it, the others share the rest.
float minute_of(const LoadCurve& curve, const IntervalLoad& load, std::int64_t interval, int minute);

}  // namespace bridgehead::simulation
