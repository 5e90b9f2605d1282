// Forecast: from how much something was used in the past weeks to how much it will take in the next hours. Pure
// functions on series of samples at a fixed step, the oldest first; a sample that is missing is negative.
//
// What is expected at a time is the level of the last hours, plus what that time of the day (or of the week, once two
// weeks are known) usually differs from the level; both by medians, so that single spikes and noise say little. The
// answer is the peak within the horizon plus what forecasts of the past were usually short of (a quantile of the
// residuals). So only load that lasts changes the answer.
#pragma once

#include <vector>

#include "base/clock.h"
#include "scheduler/cluster.h"

namespace bridgehead::scheduler {

struct History {
  Timestamp begin{};  // of the first sample
  Seconds step{300};
  std::vector<double> samples;

  Timestamp end() const {
    return begin + std::chrono::duration_cast<std::chrono::milliseconds>(step * static_cast<double>(samples.size()));
  }
};

// What counts of a time in which a guest used `mean` CPUs, and `peak` in the busiest of `parts` equal parts of it, so
// that a host whose guests' sum stays below nine tenths of its CPUs is enough for their bursts, too: guests hardly ever
// burst together, and few large ones vary more than many small ones. An effective bandwidth (Kelly, "Notes on effective
// bandwidths", 1996): the mean, and as much more as the variance weighs in a host of that size; the peak at most.
double with_bursts(double mean, double peak, int parts, double host_cpus);

struct ForecastOptions {
  double quantile = 0.9;         // of what the past exceeded its own pattern by
  Seconds level_over{2 * 3600};  // the last samples that tell the present level
};

// What times of the day or of the week usually differ from the level by. Changes slowly, so one that was learned from
// weeks at a coarse step, and some hours ago, does for many forecasts. Knows nothing of less than two days.
class Pattern {
 public:
  Pattern() = default;
  explicit Pattern(const History& history, const ForecastOptions& options = {});

  bool known() const { return !by_slot_.empty(); }
  double at(Timestamp time) const;           // linear between the middles of slots
  double margin() const { return margin_; }  // what the history exceeded it by
  Seconds slot() const { return slot_; }

 private:
  std::vector<float> by_slot_;  // of the period
  Seconds slot_{1800};
  double margin_ = 0;
};

class Forecast {
 public:
  explicit Forecast(const History& history, const ForecastOptions& options = {});
  // With a pattern that was learned before; `recent` tells the level.
  Forecast(const Pattern& pattern, const History& recent, const ForecastOptions& options = {});

  // Expected in the middle, without the margin.
  double at(Timestamp time) const;
  // What it will hardly exceed from its history's end to the horizon after it. Never below 0.
  double peak(Seconds horizon) const;
  // The same for each of `count` intervals of that length from the history's end.
  std::vector<double> peaks(Seconds interval, std::size_t count) const;

 private:
  void find_level(const History& recent, const ForecastOptions& options);

  Pattern pattern_;
  Timestamp now_{};  // its history's end
  double level_ = 0;
  double margin_ = 0;
};

}  // namespace bridgehead::scheduler
