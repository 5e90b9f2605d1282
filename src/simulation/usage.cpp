#include "simulation/usage.h"

#include <algorithm>

#include "simulation/load.h"

namespace bridgehead::simulation {
namespace {

constexpr std::int64_t kHourIntervals = 12;
constexpr std::int64_t kDayIntervals = 24 * kHourIntervals;

template <std::size_t N>
float& slot(std::array<float, N>& ring, std::int64_t number) {
  return ring[static_cast<std::size_t>(number % static_cast<std::int64_t>(N))];
}

// Those between the newest and this one weren't measured.
template <std::size_t N>
void append(std::array<float, N>& ring, std::int64_t& newest, std::int64_t number, float value) {
  const auto first = std::max(newest + 1, number - static_cast<std::int64_t>(N) + 1);
  for (auto missing = first; missing < number; ++missing) slot(ring, missing) = -1;
  slot(ring, number) = value;
  newest = number;
}

// The last `end - N` to `end`.
template <std::size_t N>
scheduler::History history_of(const std::array<float, N>& ring, std::int64_t newest, std::int64_t end,
                              std::chrono::seconds step) {
  const auto begin = end - static_cast<std::int64_t>(N);
  scheduler::History history{.begin = Timestamp(begin * step), .step = scheduler::Seconds(step)};
  history.samples.assign(N, -1);
  for (auto number = begin; number < std::min(end, newest + 1); ++number) {
    history.samples[static_cast<std::size_t>(number - begin)] =
        ring[static_cast<std::size_t>(number % static_cast<std::int64_t>(N))];
  }
  return history;
}

void add(scheduler::History& sum, const scheduler::History& more) {
  if (sum.samples.empty()) {
    sum = more;
    return;
  }
  for (std::size_t i = 0; i < sum.samples.size(); ++i) {
    if (more.samples[i] >= 0) sum.samples[i] = std::max(sum.samples[i], 0.0) + more.samples[i];
  }
}

}  // namespace

void Usage::end_hour(Guest& guest, std::int64_t hour, float cpus) { append(guest.hours, guest.hour, hour, cpus); }

void Usage::observe_hour(std::size_t guest, std::int64_t hour, double cpus) {
  end_hour(guests_[guest], hour, static_cast<float>(cpus));
}

void Usage::observe(std::size_t guest, std::int64_t interval, double cpus) {
  auto& g = guests_[guest];
  const auto hour = interval / kHourIntervals;
  if (g.count > 0 && g.step / kHourIntervals != hour) {
    end_hour(g, g.step / kHourIntervals, g.sum / g.count);
    g.sum = g.count = 0;
  }
  g.sum += static_cast<float>(cpus);
  g.count += 1;
  append(g.steps, g.step, interval, static_cast<float>(cpus));
}

scheduler::History Usage::hours_of(const Guest& guest, std::int64_t interval) {
  return history_of(guest.hours, guest.hour, interval / kHourIntervals, std::chrono::hours(1));
}

scheduler::History Usage::steps_of(const Guest& guest, std::int64_t interval) {
  return history_of(guest.steps, guest.step, interval, kInterval);
}

const scheduler::Pattern& Usage::pattern_of(std::size_t guest, std::int64_t interval) {
  auto& g = guests_[guest];
  const auto day = interval / kDayIntervals;
  if (g.learned != day) {
    const auto hours = hours_of(g, interval);
    const auto known = std::count_if(hours.samples.begin(), hours.samples.end(), [](double s) { return s >= 0; });
    // Before that days can't be told from each other.
    constexpr auto kLeastHours = 2 * 24;
    if (known >= kLeastHours) g.pattern = scheduler::Pattern(hours);
    g.learned = day;
  }
  return g.pattern;
}

double Usage::expected(std::size_t guest, std::int64_t interval, scheduler::Seconds horizon) {
  const auto& pattern = pattern_of(guest, interval);
  const auto steps = steps_of(guests_[guest], interval);
  const auto measured = std::max({0.0, steps.samples[kSteps - 1], steps.samples[kSteps - 2]});
  if (!pattern.known()) return measured;
  return std::max(measured, scheduler::Forecast(pattern, steps).peak(horizon));
}

std::vector<double> Usage::expected_total(const std::vector<std::uint32_t>& guests, std::int64_t interval,
                                          scheduler::Seconds step) {
  scheduler::History hours;
  scheduler::History steps;
  for (const auto guest : guests) {
    add(hours, hours_of(guests_[guest], interval));
    add(steps, steps_of(guests_[guest], interval));
  }
  const scheduler::Pattern pattern(hours);
  if (!pattern.known()) return {};
  const auto count = static_cast<std::size_t>(scheduler::Seconds(std::chrono::hours(24)) / step);
  return scheduler::Forecast(pattern, steps).peaks(step, count);
}

}  // namespace bridgehead::simulation
