// Unevenness: Policy::evenness of hosts' use, kept up in constant time per change (logarithmic for the peak), so that a
// search can look at millions of changes. A host's use of a resource is its load as part of its limit. Hosts that
// aren't counted (asleep, to be emptied, not in use where the policy consolidates) don't matter.
#pragma once

#include "scheduler/problem.h"

namespace bridgehead::scheduler {

// Of the deviation, in the peak's objective: evens out what isn't the fullest yet, without a say against it.
inline constexpr double kDeviationInPeak = 0.02;

class Unevenness {
 public:
  explicit Unevenness(const Problem& problem) : problem_(problem) {}

  void reset(const std::vector<Amounts>& load, const std::vector<std::uint8_t>& counted);
  void set(HostIndex host, const Amounts& load);
  double value() const { return value_; }
  // What it would be with these loads of these two hosts. Either may be kNowhere.
  double with(HostIndex a, const Amounts& load_a, HostIndex b, const Amounts& load_b) const;
  double peak(std::size_t resource) const { return peaks_[resource].empty() ? 0 : peaks_[resource][1]; }
  double deviation(std::size_t resource) const;
  double mean(std::size_t resource) const { return middle_[resource] + sum_[resource] * each_; }
  double use(HostIndex host, std::size_t resource) const { return use_[host][resource]; }
  bool counts(HostIndex host) const { return counted_[host] != 0; }
  std::size_t counted() const { return count_; }

 private:
  double others_peak(std::size_t resource, HostIndex a, HostIndex b) const;
  double compute() const;

  const Problem& problem_;
  std::vector<Amounts> use_;
  std::vector<std::uint8_t> counted_;
  std::size_t count_ = 0;
  double each_ = 0;   // 1 / count
  Amounts middle_{};  // the mean at reset; sums are of what differs from it, or the squares would cancel out
  Amounts sum_{};
  Amounts squares_{};
  std::vector<double> peaks_[kResources];  // tournament trees
  std::size_t leaves_ = 0;
  double value_ = 0;
};

}  // namespace bridgehead::scheduler
