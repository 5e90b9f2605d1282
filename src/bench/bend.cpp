#include "bench/bend.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace bridgehead::bench {
namespace {

using Groups = std::map<double, std::vector<double>>;

Groups by_count(const std::vector<ScalePoint>& points) {
  Groups groups;
  for (const auto& point : points) groups[point.nodes].push_back(point.rate);
  return groups;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

template <typename Curve>
double misfit(const Groups& groups, const Curve& curve) {
  double sum = 0;
  for (const auto& [nodes, rates] : groups) {
    const double scale = mean_of(rates);
    for (const double rate : rates) sum += std::pow((rate - curve.at(nodes)) / scale, 2);
  }
  return sum;
}

// With the weights of fit_scale, one over the square of the mean there, the best slope and the best level are weighted
// means. So many of the groups are below the bend.
Bend bend_after(const Groups& groups, std::size_t linear) {
  double slope_over = 0, slope_under = 0, level_over = 0, level_under = 0;
  std::size_t place = 0;
  for (const auto& [nodes, rates] : groups) {
    const double scale = mean_of(rates);
    const auto count = static_cast<double>(rates.size());
    if (place++ < linear) {
      slope_over += count * nodes / scale;
      slope_under += count * nodes * nodes / (scale * scale);
    } else {
      level_over += count / scale;
      level_under += count / (scale * scale);
    }
  }
  return {slope_over / slope_under, level_under > 0 ? level_over / level_under : kInfinite};
}

// A limit must explain more than chance does (F of one parameter, 95 %): the last group always lies a bit high or low.
Bend best_bend(const Groups& groups) {
  constexpr double kPays = 4;
  const auto straight = bend_after(groups, groups.size());
  const double without = misfit(groups, straight);
  Bend best = straight;
  double least = kInfinite;
  for (std::size_t linear = 1; linear < groups.size(); ++linear) {
    const auto bend = bend_after(groups, linear);
    if (const double sum = misfit(groups, bend); sum < least) {
      least = sum;
      best = bend;
    }
  }
  std::size_t count = 0;
  for (const auto& group : groups) count += group.second.size();
  const double chance = kPays * least / std::max(1.0, static_cast<double>(count) - 2);
  return without - least > chance + 1e-12 ? best : straight;
}

}  // namespace

double Bend::at(double nodes) const { return std::min(per_node * nodes, limit); }

std::vector<double> BendFit::runs_at(double nodes) const {
  std::vector<double> runs;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double value = samples[i].at(nodes);
    for (std::size_t j = 0; j < 5; ++j) runs.push_back(value * (1 + residuals[(i * 5 + j) % residuals.size()]));
  }
  return runs;
}

BendFit fit_bend(const std::vector<ScalePoint>& all, const FitOptions& options) {
  std::vector<ScalePoint> points;
  std::copy_if(all.begin(), all.end(), std::back_inserter(points), [](const auto& point) { return point.complete; });
  BendFit fit;
  require(!points.empty(), "a bend of nothing");
  fit.bend = best_bend(by_count(points));
  const double count = static_cast<double>(points.size());
  const double freedom = std::max(1.0, count - 2);
  double sum = 0;
  double centre = 0;
  for (const auto& point : points) {
    const double off = point.rate / fit.bend.at(point.nodes) - 1;
    fit.residuals.push_back(off);
    sum += off * off;
    centre += off / count;
  }
  fit.spread = std::sqrt(sum / freedom);
  for (auto& off : fit.residuals) off = (off - centre) * std::sqrt(count / freedom);
  BootstrapRandom random(options.seed);
  std::vector<double> slopes, limits;
  auto drawn = points;
  for (std::size_t i = 0; i < options.resamples; ++i) {
    for (auto& point : drawn) {
      point.rate = fit.bend.at(point.nodes) * std::max(0.01, 1 + fit.residuals[random.below(fit.residuals.size())]);
    }
    fit.samples.push_back(best_bend(by_count(drawn)));
    slopes.push_back(fit.samples.back().per_node);
    limits.push_back(fit.samples.back().limit);
  }
  fit.per_node = percentiles(std::move(slopes), options.confidence);
  fit.limit = percentiles(std::move(limits), options.confidence);
  return fit;
}

Form form_of(const std::vector<ScalePoint>& all, const Usl& usl, const Bend& bend) {
  std::vector<ScalePoint> points;
  std::copy_if(all.begin(), all.end(), std::back_inserter(points), [](const auto& point) { return point.complete; });
  const auto groups = by_count(points);
  const double count = static_cast<double>(points.size());
  const auto criterion = [&](double sum, double parameters) {
    const double k = parameters + 1;  // and the spread
    const double small = count > k + 1 ? 2 * k * (k + 1) / (count - k - 1) : 0;
    return count * std::log(std::max(sum, 1e-12) / count) + 2 * k + small;
  };
  return criterion(misfit(groups, bend), 2) < criterion(misfit(groups, usl), 3) ? Form::bend : Form::law;
}

}  // namespace bridgehead::bench
