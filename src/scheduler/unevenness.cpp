#include "scheduler/unevenness.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace bridgehead::scheduler {
namespace {

double spread(double squares, double sum, double each) {
  const double mean = sum * each;
  return std::sqrt(std::max(0.0, squares * each - mean * mean));
}

}  // namespace

void Unevenness::reset(const std::vector<Amounts>& load, const std::vector<std::uint8_t>& counted) {
  use_.resize(load.size());
  counted_ = counted;
  count_ = static_cast<std::size_t>(std::count(counted.begin(), counted.end(), std::uint8_t{1}));
  each_ = count_ == 0 ? 0 : 1 / static_cast<double>(count_);
  middle_ = sum_ = squares_ = {};
  for (std::size_t h = 0; h < load.size(); ++h) {
    for (std::size_t r = 0; r < kResources; ++r) use_[h][r] = load[h][r] * problem_.part[h][r];
    if (!counted_[h]) continue;
    for (const auto r : problem_.resources) middle_[r] += use_[h][r] * each_;
  }
  const bool peak = problem_.policy.evenness == Evenness::peak;
  leaves_ = peak ? std::bit_ceil(std::max<std::size_t>(load.size(), 2)) : 0;
  for (const auto r : problem_.resources) {
    if (peak) peaks_[r].assign(2 * leaves_, 0);
    for (std::size_t h = 0; h < load.size(); ++h) {
      if (!counted_[h]) continue;
      const double off = use_[h][r] - middle_[r];
      sum_[r] += off;
      squares_[r] += off * off;
      if (peak) peaks_[r][leaves_ + h] = use_[h][r];
    }
    for (std::size_t i = leaves_; peak && i-- > 1;) {
      peaks_[r][i] = std::max(peaks_[r][2 * i], peaks_[r][2 * i + 1]);
    }
  }
  value_ = compute();
}

double Unevenness::deviation(std::size_t resource) const { return spread(squares_[resource], sum_[resource], each_); }

double Unevenness::compute() const {
  double deviations = 0;
  double peaks = 0;
  for (const auto r : problem_.resources) {
    deviations += problem_.policy.weights[r] * deviation(r);
    if (leaves_ > 0) peaks += problem_.policy.weights[r] * peaks_[r][1];
  }
  return leaves_ > 0 ? peaks + kDeviationInPeak * deviations : deviations;
}

void Unevenness::set(HostIndex host, const Amounts& load) {
  auto& use = use_[host];
  const bool counted = counted_[host] != 0;
  for (const auto r : problem_.resources) {
    const double now = load[r] * problem_.part[host][r];
    const double before = use[r] - middle_[r];
    const double after = now - middle_[r];
    use[r] = now;
    if (!counted) continue;
    sum_[r] += after - before;
    squares_[r] += after * after - before * before;
    if (leaves_ == 0) continue;
    auto& tree = peaks_[r];
    std::size_t i = leaves_ + host;
    tree[i] = now;
    for (i /= 2; i >= 1; i /= 2) {
      const double most = std::max(tree[2 * i], tree[2 * i + 1]);
      if (tree[i] == most) break;
      tree[i] = most;
    }
  }
  if (counted) value_ = compute();
}

double Unevenness::others_peak(std::size_t resource, HostIndex a, HostIndex b) const {
  const auto& tree = peaks_[resource];
  std::size_t i = leaves_ + a;
  std::size_t j = leaves_ + b;
  if (tree[1] > tree[i] && tree[1] > tree[j]) return tree[1];
  double most = 0;
  for (; i != j; i /= 2, j /= 2) {
    if ((i ^ 1) == j) continue;
    most = std::max({most, tree[i ^ 1], tree[j ^ 1]});
  }
  for (; i > 1; i /= 2) most = std::max(most, tree[i ^ 1]);
  return most;
}

double Unevenness::with(HostIndex a, const Amounts& load_a, HostIndex b, const Amounts& load_b) const {
  const bool count_a = a != kNowhere && counted_[a];
  const bool count_b = b != kNowhere && counted_[b];
  if (!count_a && !count_b) return value_;
  double deviations = 0;
  double peaks = 0;
  for (const auto r : problem_.resources) {
    double sum = sum_[r];
    double squares = squares_[r];
    double most = 0;
    if (count_a) {
      const double now = load_a[r] * problem_.part[a][r];
      const double before = use_[a][r] - middle_[r];
      const double after = now - middle_[r];
      sum += after - before;
      squares += after * after - before * before;
      most = now;
    }
    if (count_b) {
      const double now = load_b[r] * problem_.part[b][r];
      const double before = use_[b][r] - middle_[r];
      const double after = now - middle_[r];
      sum += after - before;
      squares += after * after - before * before;
      most = std::max(most, now);
    }
    deviations += problem_.policy.weights[r] * spread(squares, sum, each_);
    if (leaves_ > 0) {
      most = std::max(most, others_peak(r, count_a ? a : b, count_b ? b : a));
      peaks += problem_.policy.weights[r] * most;
    }
  }
  return leaves_ > 0 ? peaks + kDeviationInPeak * deviations : deviations;
}

}  // namespace bridgehead::scheduler
