// Statistics of repeated measurements. Pure functions; thread-safe. They assume nothing of the distribution: figures of
// storage are skewed, have outliers, and are few (Hoefler and Belli, "Scientific Benchmarking of Parallel Computing
// Systems", SC15). Values are never removed; those that lie far out are named.
#pragma once

#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <vector>

namespace bridgehead::bench {

inline constexpr double kInfinite = std::numeric_limits<double>::infinity();

struct Interval {
  double low = 0;
  double high = 0;
  double confidence = 0;  // what it really has, not what was asked for; 0: there is none
};

// What lies in the middle of a bootstrap's results. Not empty.
Interval percentiles(std::vector<double> values, double confidence);

struct Summary {
  std::size_t count = 0;
  double median = 0;
  double mean = 0;
  double deviation = 0;  // of the sample, n - 1; 0 for one value
  double least = 0;
  double most = 0;
  Interval interval;                  // of the median
  std::vector<std::size_t> outliers;  // indexes into the values

  double variation() const { return mean != 0 ? deviation / mean : 0; }
};

double median_of(std::span<const double> values);

// By linear interpolation between order statistics; `part` of 0..1.
double quantile_of(std::span<const double> sorted, double part);

// The interval of the median is between two order statistics; its confidence is exact by the binomial distribution
// (David and Nagaraja, "Order Statistics", 7.1). Where too few values can't give what is asked for, it is from the
// least to the most with the confidence that this has: 93.75 % for five. Outliers: a modified z-score beyond 3.5
// (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993).
Summary summarise(std::span<const double> values, double confidence = 0.95);

struct Ratio {
  double value = 0;  // the median of all b / a
  Interval interval;
  bool distinct() const { return interval.confidence > 0 && (interval.low > 1 || interval.high < 1); }
};

// How many times `a` is `b`. Hodges and Lehmann's estimate on logarithms, its interval from the exact distribution of
// the rank sum (Hollander and Wolfe, "Nonparametric Statistical Methods", 4.3). It assumes that both are spread alike
// in proportion. All values must be positive; up to 200 in each.
Ratio ratio_of(std::span<const double> a, std::span<const double> b, double confidence = 0.95);

// The same on every machine for the same seed, unlike the standard library's distributions.
class BootstrapRandom {
 public:
  explicit BootstrapRandom(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace bridgehead::bench
