#include "simulation/load.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "simulation/dice.h"

namespace bridgehead::simulation {
namespace {

constexpr int kDayLong = 24 * 12;  // intervals
constexpr int kWeekLong = 7 * kDayLong;

double smooth(double from, double to, double x) {
  const double t = std::clamp((x - from) / (to - from), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

// Day 0 is a Monday.
double raw_shape(Rhythm rhythm, int day, double hour) {
  const bool weekend = day >= 5;
  switch (rhythm) {
    case Rhythm::steady: return 1;
    case Rhythm::daily: {
      const double wave = 0.5 - 0.5 * std::cos((hour - 3) / 24 * 6.283185307179586);  // least at three, most at fifteen
      return (0.35 + wave) * (weekend ? 0.75 : 1);
    }
    case Rhythm::office: {
      const double open = smooth(7, 9.5, hour) - smooth(16.5, 19.5, hour);
      const double lunch = 0.15 * (smooth(11.75, 12.5, hour) - smooth(12.75, 13.5, hour));
      return weekend ? 0.12 : 0.12 + open - lunch;
    }
  }
  return 1;
}

struct Shape {
  std::array<float, kWeekLong> at{};  // mean 1
  float most = 1;
};

Shape make_shape(Rhythm rhythm) {
  Shape shape;
  double sum = 0;
  for (int i = 0; i < kWeekLong; ++i) {
    shape.at[i] = static_cast<float>(raw_shape(rhythm, i / kDayLong, (i % kDayLong) / 12.0));
    sum += shape.at[i];
  }
  for (auto& value : shape.at) {
    value = static_cast<float>(value * kWeekLong / sum);
    shape.most = std::max(shape.most, value);
  }
  return shape;
}

const Shape& shape_of(Rhythm rhythm) {
  static const std::array<Shape, 3> shapes{make_shape(Rhythm::steady), make_shape(Rhythm::daily),
                                           make_shape(Rhythm::office)};
  return shapes[static_cast<std::size_t>(rhythm)];
}

// Noise in [-1, 1] that changes within an hour or two, not from one reading to the next.
double slow_noise(std::uint64_t seed, std::int64_t interval) {
  constexpr std::int64_t kKnot = 12;
  const auto knot = interval / kKnot;
  const double t = static_cast<double>(interval % kKnot) / kKnot;
  const double a = chance_at(seed, static_cast<std::uint64_t>(knot));
  const double b = chance_at(seed, static_cast<std::uint64_t>(knot + 1));
  return 2 * (a + (b - a) * t) - 1;
}

}  // namespace

IntervalLoad load_in(const LoadCurve& curve, std::int64_t interval) {
  if (curve.imported) {
    const auto size = static_cast<std::int64_t>(curve.imported->size());
    return (*curve.imported)[static_cast<std::size_t>((interval - curve.first_interval) % size)];
  }
  const auto& shape = shape_of(curve.rhythm);
  // 1970-01-01 was a Thursday.
  const auto at = (interval + 3 * kDayLong + 2 * kWeekLong - std::lround(curve.shift * 12)) % kWeekLong;
  // The day's highest average stays below the peak, and the week's mean is the average whatever the shape.
  const double room = curve.peak - curve.average;
  const double swing = shape.most > 1 ? std::min<double>(curve.average, room / (shape.most - 1)) : 0;
  const double level = curve.average + swing * (shape.at[static_cast<std::size_t>(at)] - 1);
  const double average = level + 0.15 * std::min(level, room) * slow_noise(curve.seed, interval);
  // 95 of 100 peaks are below `peak`.
  const double height = 0.4 + 0.6 / 0.95 * chance_at(~curve.seed, static_cast<std::uint64_t>(interval));
  IntervalLoad load;
  load.average = static_cast<float>(std::clamp(average, 0.0, 1.0));
  load.peak = static_cast<float>(std::clamp<double>(curve.peak * height, load.average, 1.0));
  return load;
}

float minute_of(const LoadCurve& curve, const IntervalLoad& load, std::int64_t interval, int minute) {
  const auto high = static_cast<int>(mix(curve.seed + static_cast<std::uint64_t>(interval)) % kMinutes);
  const float whole = load.average * kMinutes;
  const float peak = std::min(load.peak, whole);
  return minute == high ? peak : (whole - peak) / (kMinutes - 1);
}

}  // namespace bridgehead::simulation
