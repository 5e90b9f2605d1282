#include "scheduler/forecast.h"

#include <algorithm>
#include <cmath>

namespace bridgehead::scheduler {
namespace {

constexpr Seconds kDay{24 * 3600};
constexpr Seconds kWeek{7 * 24 * 3600};
// A period counts once it has been seen so often.
constexpr double kSeen = 2;

double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

Seconds since_epoch(Timestamp time) { return std::chrono::duration_cast<Seconds>(time.time_since_epoch()); }

Timestamp time_of(const History& history, std::size_t sample) {
  return history.begin +
         std::chrono::duration_cast<std::chrono::milliseconds>(history.step * (static_cast<double>(sample) + 0.5));
}

std::vector<double> known_of(const History& history) {
  std::vector<double> known;
  for (const double sample : history.samples) {
    if (sample >= 0) known.push_back(sample);
  }
  return known;
}

}  // namespace

double with_bursts(double mean, double peak, int parts, double host_cpus) {
  // Four deviations z s of the sum are kept free. With any b, z s <= (z s)^2 / 2b + b/2; the first can be added up by
  // guest, the second is one tenth of the host.
  constexpr double kDeviations = 4;
  constexpr double kPart = 0.2;
  const double burst = std::max(0.0, peak - mean);
  if (burst <= 0 || parts < 2) return mean;
  const double variance = burst * burst / (parts - 1);
  const double b = kPart * std::max(host_cpus, 1e-9);
  return mean + std::min(burst, kDeviations * kDeviations * variance / (2 * b));
}

Pattern::Pattern(const History& history, const ForecastOptions& options) {
  slot_ = std::max(slot_, history.step);
  const auto length = history.step * static_cast<double>(history.samples.size());
  const auto period = length >= kSeen * kWeek ? kWeek : length >= kSeen * kDay ? kDay : Seconds(0);
  const auto known = known_of(history);
  if (period == Seconds(0) || known.empty()) return;
  const double usual = median(known);
  const auto slots = static_cast<std::size_t>(period / slot_);
  std::vector<std::vector<double>> samples(slots);
  for (std::size_t i = 0; i < history.samples.size(); ++i) {
    if (history.samples[i] < 0) continue;
    const auto slot = static_cast<std::size_t>(since_epoch(time_of(history, i)) / slot_) % slots;
    samples[slot].push_back(history.samples[i] - usual);
  }
  for (auto& values : samples) by_slot_.push_back(static_cast<float>(median(std::move(values))));

  std::vector<double> residuals;
  for (std::size_t i = 0; i < history.samples.size(); ++i) {
    if (history.samples[i] >= 0) residuals.push_back(history.samples[i] - usual - at(time_of(history, i)));
  }
  const double middle = median(residuals);
  margin_ = std::max(0.0, quantile(std::move(residuals), options.quantile) - middle);
}

double Pattern::at(Timestamp time) const {
  if (by_slot_.empty()) return 0;
  const double slots = since_epoch(time) / slot_ - 0.5;  // from the first one's middle
  const double before = std::floor(slots);
  const auto count = static_cast<std::int64_t>(by_slot_.size());
  const auto slot = ((static_cast<std::int64_t>(before) % count) + count) % count;
  const double from = by_slot_[static_cast<std::size_t>(slot)];
  const double to = by_slot_[static_cast<std::size_t>((slot + 1) % count)];
  return from + (to - from) * (slots - before);
}

Forecast::Forecast(const History& history, const ForecastOptions& options)
    : Forecast(Pattern(history, options), history, options) {}

Forecast::Forecast(const Pattern& pattern, const History& recent, const ForecastOptions& options)
    : pattern_(pattern), now_(recent.end()), margin_(pattern.margin()) {
  find_level(recent, options);
}

// What the last hours differ from the pattern by; all of the history where there is nothing newer.
void Forecast::find_level(const History& recent, const ForecastOptions& options) {
  const auto count = recent.samples.size();
  const auto last = static_cast<std::size_t>(std::max(1.0, options.level_over / recent.step));
  std::vector<double> levels;
  for (std::size_t i = count > last ? count - last : 0; i < count; ++i) {
    if (recent.samples[i] >= 0) levels.push_back(recent.samples[i] - pattern_.at(time_of(recent, i)));
  }
  if (levels.empty()) {
    level_ = median(known_of(recent));
    return;
  }
  level_ = median(levels);
  // Without a pattern the level's own changes would look like noise; so only the last hours tell.
  if (!pattern_.known()) margin_ = std::max(0.0, quantile(std::move(levels), options.quantile) - level_);
}

double Forecast::at(Timestamp time) const { return std::max(0.0, level_ + pattern_.at(time)); }

double Forecast::peak(Seconds horizon) const { return peaks(horizon, 1).front(); }

std::vector<double> Forecast::peaks(Seconds interval, std::size_t count) const {
  std::vector<double> peaks(count);
  const auto step = std::min(pattern_.slot() / 2, std::max(interval, Seconds(1)));
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = interval * static_cast<double>(i);
    const auto expected = [&](Seconds after) {
      return at(now_ + std::chrono::duration_cast<std::chrono::milliseconds>(after));
    };
    double most = expected(begin + interval);
    for (Seconds after = begin; after < begin + interval; after += step) most = std::max(most, expected(after));
    peaks[i] = most + margin_;
  }
  return peaks;
}

}  // namespace bridgehead::scheduler
