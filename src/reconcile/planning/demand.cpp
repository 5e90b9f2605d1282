#include "reconcile/planning/demand.h"

#include <algorithm>

#include "scheduler/forecast.h"

namespace bridgehead::reconcile {
namespace {

// Before that there is nothing to expect but what is.
constexpr std::size_t kLeastSteps = 24;      // two hours
constexpr std::size_t kLeastHours = 2 * 24;  // two days
constexpr std::chrono::hours kAhead{24};
constexpr int kSamples = 20;  // of agents in a step

Timestamp floor_to(Timestamp time, std::chrono::seconds step) {
  return Timestamp(time.time_since_epoch() / step * step);
}

std::size_t known(const std::vector<double>& samples) {
  return static_cast<std::size_t>(std::count_if(samples.begin(), samples.end(), [](double s) { return s >= 0; }));
}

scheduler::History history_of(std::vector<double> samples, Timestamp now, std::chrono::seconds step) {
  const auto count = static_cast<std::int64_t>(samples.size());
  return {.begin = floor_to(now, step) - count * step, .step = scheduler::Seconds(step), .samples = std::move(samples)};
}

// Not known while days can't be told from each other.
scheduler::Pattern pattern_of(std::vector<double> hours, Timestamp now) {
  if (known(hours) < kLeastHours) return {};
  return scheduler::Pattern(history_of(std::move(hours), now, std::chrono::hours(1)));
}

void add(std::vector<double>& sum, const std::vector<double>& more) {
  for (std::size_t i = 0; i < sum.size(); ++i) {
    if (more[i] >= 0) sum[i] = std::max(sum[i], 0.0) + more[i];
  }
}

}  // namespace

Demand::Demand(const UseHistory* use, Timestamp now, const model::PlanningPolicy& policy, double node_cpus)
    : use_(use),
      now_(now),
      policy_(policy),
      node_cpus_(node_cpus),
      all_hours_(UseHistory::kHours, -1),
      all_steps_(UseHistory::kSteps, -1) {}

// Hours tell the pattern of days and weeks, steps the present level with what bursts add to it.
std::optional<UseHistory::Use> Demand::of(const model::VmId& vm) {
  if (use_ == nullptr) return {};
  auto demand = use_->recent(vm, now_, policy_.sustained);
  if (!demand) return {};
  std::vector<double> steps;
  steps.reserve(UseHistory::kSteps);
  for (const auto& step : use_->steps(vm, now_, UseHistory::kSteps)) {
    steps.push_back(step ? scheduler::with_bursts(step->mean, step->peak, kSamples, node_cpus_) : -1);
  }
  std::vector<double> hours;
  hours.reserve(UseHistory::kHours);
  for (const auto& hour : use_->hours(vm, now_, UseHistory::kHours)) hours.push_back(hour ? hour->cpus.mean : -1);
  add(all_steps_, steps);
  add(all_hours_, hours);
  if (known(steps) < kLeastSteps) return demand;
  const auto pattern = pattern_of(std::move(hours), now_);
  const auto expected = scheduler::Forecast(pattern, history_of(std::move(steps), now_, UseHistory::kStep));
  demand->cpus.mean = std::max(demand->cpus.mean, expected.peak(scheduler::Seconds(policy_.horizon)));
  return demand;
}

std::vector<scheduler::Amounts> Demand::ahead(const scheduler::Amounts& now, scheduler::Seconds step) const {
  if (known(all_steps_) < kLeastSteps) return {};
  const auto count = static_cast<std::size_t>(scheduler::Seconds(kAhead) / step);
  const scheduler::Forecast expected(pattern_of(all_hours_, now_), history_of(all_steps_, now_, UseHistory::kStep));
  const auto peaks = expected.peaks(step, count);
  std::vector<scheduler::Amounts> all(peaks.size(), now);
  for (std::size_t i = 0; i < peaks.size(); ++i) {
    all[i][static_cast<std::size_t>(scheduler::Resource::cpu_used)] = peaks[i];
  }
  return all;
}

}  // namespace bridgehead::reconcile
