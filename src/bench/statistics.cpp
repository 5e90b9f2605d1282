#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/result.h"

namespace bridgehead::bench {
namespace {

double sorted_median(const std::vector<double>& sorted) {
  const auto half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

std::vector<double> sorted_copy(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// The narrowest symmetric pair of order statistics that has the confidence.
Interval median_interval(const std::vector<double>& sorted, double confidence) {
  const auto n = sorted.size();
  if (n < 2) return {sorted.front(), sorted.front(), 0};
  // P(X < k) for k of n coins; the pair (k, n - 1 - k) covers the median with 1 - 2 P(X <= k).
  double term = std::exp2(-static_cast<double>(n));
  double tail = term;
  std::size_t k = 0;
  double reached = 1 - 2 * tail;
  while (k + 1 < n / 2) {
    const double next = term * static_cast<double>(n - k) / static_cast<double>(k + 1);
    if (1 - 2 * (tail + next) < confidence) break;
    ++k;
    term = next;
    tail += next;
    reached = 1 - 2 * tail;
  }
  return {sorted[k], sorted[n - 1 - k], reached};
}

std::vector<std::size_t> outliers_of(std::span<const double> values, double median) {
  std::vector<std::size_t> found;
  if (values.size() < 4) return found;  // of three, one is always far from the two others
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::abs(value - median));
  const double typical = median_of(distances);
  // More than half of the values may be equal.
  const double mean = std::accumulate(distances.begin(), distances.end(), 0.0) / static_cast<double>(distances.size());
  const double scale = typical > 0 ? typical / 0.6745 : mean * 1.253314;
  if (scale <= 0) return found;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (distances[i] / scale > 3.5) found.push_back(i);
  }
  return found;
}

// How many of all orders of m and n values have each Mann-Whitney U, as shares.
std::vector<double> rank_sum_shares(std::size_t m, std::size_t n) {
  // Coefficients of the Gaussian binomial: multiply by (1 - q^(n+i)) and divide by (1 - q^i).
  const auto most = m * n;
  std::vector<double> shares(most + 1, 0.0);
  shares[0] = 1;
  for (std::size_t i = 1; i <= m; ++i) {
    for (std::size_t u = most; u >= n + i && u <= most; --u) shares[u] -= shares[u - (n + i)];
    for (std::size_t u = i; u <= most; ++u) shares[u] += shares[u - i];
    // Kept small; only proportions count.
    const double top = *std::max_element(shares.begin(), shares.end());
    if (top > 1e200) {
      for (auto& share : shares) share /= top;
    }
  }
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (auto& share : shares) share /= all;
  return shares;
}

}  // namespace

double median_of(std::span<const double> values) {
  require(!values.empty(), "the median of nothing");
  return sorted_median(sorted_copy(values));
}

double quantile_of(std::span<const double> sorted, double part) {
  require(!sorted.empty(), "a quantile of nothing");
  const double at = std::clamp(part, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const double rest = at - static_cast<double>(low);
  if (low + 1 >= sorted.size() || rest == 0 || sorted[low] == sorted[low + 1]) return sorted[low];
  return sorted[low] + (sorted[low + 1] - sorted[low]) * rest;
}

Interval percentiles(std::vector<double> values, double confidence) {
  std::sort(values.begin(), values.end());
  return {quantile_of(values, (1 - confidence) / 2), quantile_of(values, (1 + confidence) / 2), confidence};
}

Summary summarise(std::span<const double> values, double confidence) {
  Summary summary;
  summary.count = values.size();
  if (values.empty()) return summary;
  const auto sorted = sorted_copy(values);
  const auto n = static_cast<double>(sorted.size());
  summary.median = sorted_median(sorted);
  summary.least = sorted.front();
  summary.most = sorted.back();
  summary.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / n;
  double squares = 0;
  for (const double value : sorted) squares += (value - summary.mean) * (value - summary.mean);
  summary.deviation = sorted.size() > 1 ? std::sqrt(squares / (n - 1)) : 0;
  summary.interval = median_interval(sorted, confidence);
  summary.outliers = outliers_of(values, summary.median);
  return summary;
}

Ratio ratio_of(std::span<const double> a, std::span<const double> b, double confidence) {
  require(!a.empty() && !b.empty() && a.size() <= 200 && b.size() <= 200, "a ratio takes 1 to 200 values of each");
  std::vector<double> ratios;
  for (const double under : a) {
    require(under > 0, "a ratio of what isn't positive");
    for (const double over : b) ratios.push_back(over / under);
  }
  std::sort(ratios.begin(), ratios.end());
  Ratio ratio{sorted_median(ratios), {ratios.front(), ratios.back(), 0}};
  if (a.size() < 2 || b.size() < 2) return ratio;
  const auto shares = rank_sum_shares(a.size(), b.size());
  double tail = shares[0];
  std::size_t k = 0;
  while (k + 1 < ratios.size() / 2 && 1 - 2 * (tail + shares[k + 1]) >= confidence) tail += shares[++k];
  ratio.interval = {ratios[k], ratios[ratios.size() - 1 - k], 1 - 2 * tail};
  return ratio;
}

}  // namespace bridgehead::bench
