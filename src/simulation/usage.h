// Usage: what the manager has measured of guests' CPU use, and what it expects of the time ahead, by the product's own
// forecast (scheduler/forecast.h): hours of two weeks tell the pattern of days and weeks, the last two hours the level.
// Patterns are learned anew once a day. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "scheduler/forecast.h"

namespace bridgehead::simulation {

class Usage {
 public:
  explicit Usage(std::size_t guests) : guests_(guests) {}

  // The CPUs that a guest has used in an interval of five minutes.
  void observe(std::size_t guest, std::int64_t interval, double cpus);
  // The mean of a whole hour (since the epoch) before all that observe() tells.
  void observe_hour(std::size_t guest, std::int64_t hour, double cpus);

  // CPUs that it is expected to use at most from the interval on until the horizon.
  double expected(std::size_t guest, std::int64_t interval, scheduler::Seconds horizon);
  // Of those guests together, for each `step` of the next day; empty without history.
  std::vector<double> expected_total(const std::vector<std::uint32_t>& guests, std::int64_t interval,
                                     scheduler::Seconds step);

 private:
  static constexpr std::size_t kHours = 14 * 24;
  static constexpr std::size_t kSteps = 24;  // two hours

  struct Guest {
    std::array<float, kHours> hours;  // by hour since the epoch; negative = nothing was measured
    std::array<float, kSteps> steps;
    std::int64_t hour = -1;  // the newest that is over
    std::int64_t step = -1;  // the newest
    float sum = 0;           // of the hour that runs
    float count = 0;
    scheduler::Pattern pattern;
    std::int64_t learned = -1;  // in that day

    Guest() {
      hours.fill(-1);
      steps.fill(-1);
    }
  };

  static void end_hour(Guest& guest, std::int64_t hour, float cpus);
  static scheduler::History hours_of(const Guest& guest, std::int64_t interval);
  static scheduler::History steps_of(const Guest& guest, std::int64_t interval);
  const scheduler::Pattern& pattern_of(std::size_t guest, std::int64_t interval);

  std::vector<Guest> guests_;
};

}  // namespace bridgehead::simulation
