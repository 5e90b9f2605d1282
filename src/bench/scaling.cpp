#include "bench/scaling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace bridgehead::bench {
namespace {

constexpr std::size_t kLeastCounts = 4;  // three parameters, and one to contradict them
constexpr double kNoCurve = 0.35;        // a spread at which points follow no curve

using Triple = std::array<double, 3>;

struct Weighted {
  double nodes;
  double rate;
  double scale;  // the mean at this number of nodes
};

std::vector<Weighted> weighted(const std::vector<ScalePoint>& points) {
  std::map<double, std::pair<double, double>> sums;
  for (const auto& point : points) {
    sums[point.nodes].first += point.rate;
    sums[point.nodes].second += 1;
  }
  std::vector<Weighted> list;
  for (const auto& point : points) {
    const auto& [sum, count] = sums[point.nodes];
    list.push_back({point.nodes, point.rate, sum / count});
  }
  return list;
}

double squares(const std::vector<Weighted>& points, const Usl& usl) {
  double sum = 0;
  for (const auto& point : points) {
    const double off = (point.rate - usl.at(point.nodes)) / point.scale;
    sum += off * off;
  }
  return sum;
}

// Solves the 3 by 3 system; rows and columns that are held give 0.
bool solve(std::array<Triple, 3> a, Triple b, const std::array<bool, 3>& held, Triple& x) {
  for (std::size_t i = 0; i < 3; ++i) {
    if (!held[i]) continue;
    for (std::size_t j = 0; j < 3; ++j) a[i][j] = a[j][i] = 0;
    a[i][i] = 1;
    b[i] = 0;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    std::size_t pivot = i;
    for (std::size_t j = i + 1; j < 3; ++j) pivot = std::abs(a[j][i]) > std::abs(a[pivot][i]) ? j : pivot;
    if (!(std::abs(a[pivot][i]) > 1e-300)) return false;
    std::swap(a[i], a[pivot]);
    std::swap(b[i], b[pivot]);
    for (std::size_t j = i + 1; j < 3; ++j) {
      const double factor = a[j][i] / a[i][i];
      for (std::size_t k = i; k < 3; ++k) a[j][k] -= factor * a[i][k];
      b[j] -= factor * b[i];
    }
  }
  for (std::size_t i = 3; i-- > 0;) {
    double value = b[i];
    for (std::size_t k = i + 1; k < 3; ++k) value -= a[i][k] * x[k];
    x[i] = value / a[i][i];
  }
  return true;
}

Usl within_bounds(Usl usl) {
  usl.lambda = std::max(usl.lambda, 1e-12);
  usl.sigma = std::clamp(usl.sigma, 0.0, 1.0);
  usl.kappa = std::max(usl.kappa, 0.0);
  return usl;
}

// Levenberg and Marquardt's method; a parameter at its bound that wants out is held there for the step.
Usl descend(const std::vector<Weighted>& points, Usl usl) {
  double now = squares(points, usl);
  double damping = 1e-3;
  for (int round = 0; round < 200; ++round) {
    std::array<Triple, 3> normal{};
    Triple gradient{};
    for (const auto& point : points) {
      const double n = point.nodes;
      const double value = usl.at(n);
      const double slope = value * value / (usl.lambda * n);  // value / denominator
      const Triple d{value / usl.lambda / point.scale, -slope * (n - 1) / point.scale,
                     -slope * n * (n - 1) / point.scale};
      const double off = (point.rate - value) / point.scale;
      for (std::size_t i = 0; i < 3; ++i) {
        gradient[i] += d[i] * off;
        for (std::size_t j = 0; j < 3; ++j) normal[i][j] += d[i] * d[j];
      }
    }
    const std::array<bool, 3> held{false, (usl.sigma <= 0 && gradient[1] < 0) || (usl.sigma >= 1 && gradient[1] > 0),
                                   usl.kappa <= 0 && gradient[2] < 0};
    auto damped = normal;
    for (std::size_t i = 0; i < 3; ++i) damped[i][i] *= 1 + damping;
    Triple step{};
    if (!solve(damped, gradient, held, step)) break;
    const Usl next = within_bounds({usl.lambda + step[0], usl.sigma + step[1], usl.kappa + step[2]});
    const double then = squares(points, next);
    if (then < now) {
      const bool settled = now - then < 1e-12 * (now + 1e-12);
      usl = next;
      now = then;
      damping = std::max(damping / 5, 1e-12);
      if (settled) break;
    } else {
      damping *= 6;
      if (damping > 1e9) break;
    }
  }
  return usl;
}

Status check(const std::vector<ScalePoint>& points) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto& [nodes, rate, complete] = points[i];
    if (!complete) continue;
    if (!std::isfinite(nodes) || nodes < 1 || nodes > 1e6) {
      return fail(ErrorCode::invalid_argument, "measurement {} has {} nodes, which can't be", i + 1, nodes);
    }
    if (!std::isfinite(rate) || rate <= 0) {
      return fail(ErrorCode::invalid_argument, "measurement {} ({} nodes) has a rate of {}, which can't be", i + 1,
                  nodes, rate);
    }
  }
  return {};
}

std::map<double, std::vector<double>> by_nodes(const std::vector<ScalePoint>& points) {
  std::map<double, std::vector<double>> groups;
  for (const auto& point : points) groups[point.nodes].push_back(point.rate);
  return groups;
}

// Each further node brings more than those before: not by noise, and not in points that follow nothing.
bool more_than_in_proportion(const std::map<double, std::vector<double>>& groups) {
  const auto per_node = [](const auto& group) { return median_of(group.second) / group.first; };
  double best = per_node(*groups.begin());
  for (const auto& group : groups) {
    if (per_node(group) < best * 0.95) return false;
    best = std::max(best, per_node(group));
  }
  return best > per_node(*groups.begin()) * 1.15;
}

Shape shape_of(const std::map<double, std::vector<double>>& groups, const ScaleFit& fit) {
  if (more_than_in_proportion(groups)) return Shape::superlinear;
  const auto first = groups.begin();
  const auto last = std::prev(groups.end());
  const double low = median_of(first->second);
  const double high = median_of(last->second);
  const double growth = high / low;
  const double noise = std::max(0.03, fit.spread);
  double best = 0;
  double best_at = 0;
  for (const auto& [at, rates] : groups) {
    if (const double middle = median_of(rates); middle > best) {
      best = middle;
      best_at = at;
    }
  }
  if (high < best * (1 - 2 * noise) && best_at <= std::max(2.0, first->first)) return Shape::falls;
  if (growth < 1.1 && best < low * (1.1 + noise)) return Shape::flat;
  if (fit.peak.high <= fit.largest || (fit.usl.peak() < fit.largest && high < best * (1 - noise))) return Shape::peaks;
  return Shape::grows;
}

// Whether groups lie off the curve by more than their repetitions lie apart: an F test at about 0.1 %.
bool another_form(const std::map<double, std::vector<double>>& groups, const Usl& usl) {
  double pure = 0;
  double lack = 0;
  double repeats = 0;
  for (const auto& [nodes, rates] : groups) {
    double mean = 0;
    for (const double rate : rates) mean += rate / static_cast<double>(rates.size());
    for (const double rate : rates) pure += (rate / mean - 1) * (rate / mean - 1);
    const double off = usl.at(nodes) / mean - 1;
    lack += static_cast<double>(rates.size()) * off * off;
    repeats += static_cast<double>(rates.size()) - 1;
  }
  const double forms = static_cast<double>(groups.size()) - 3;
  if (forms < 1 || repeats < 4 || pure <= 0) return false;
  // 99.9 % points of F are below 10 from 6 repeats on for few groups; and what is below 3 % isn't worth words.
  return (lack / forms) / (pure / repeats) > 10 && std::sqrt(lack / static_cast<double>(groups.size())) > 0.03;
}

void explain(ScaleFit& fit, const std::map<double, std::vector<double>>& groups) {
  if (fit.left_out > 0) {
    fit.notes.push_back(fmt::format("{} {} left out: a node was lost in mid-run.", fit.left_out,
                                    fit.left_out == 1 ? "run is" : "runs are"));
  }
  switch (fit.shape) {
    case Shape::flat:
      fit.notes.emplace_back(
          "More nodes bring next to nothing: one node already gets what there is. The figures of the curve say "
          "little.");
      break;
    case Shape::falls:
      fit.notes.emplace_back(
          "More nodes get less in all than one or two: they hinder each other. Look at locks and shared files.");
      break;
    case Shape::superlinear:
      fit.notes.emplace_back(
          "It grows by more than the nodes do, which storage can't: caches, or a first node that is slower. The law's "
          "serial share is held at 0.");
      break;
    case Shape::grows:
      if (!std::isfinite(fit.peak.high) || fit.peak.high > 3 * fit.largest) {
        fit.notes.push_back(fmt::format(
            "Up to {:.0f} nodes the data doesn't show where the peak is; beyond, the curve is a guess.", fit.largest));
      }
      break;
    case Shape::peaks: break;
  }
  if (another_form(groups, fit.usl)) {
    fit.notes.emplace_back(
        "Measurements lie off the curve by more than repetitions lie apart: the law isn't their form (a hard limit has "
        "a "
        "sharp bend). See the bottlenecks.");
  }
}

}  // namespace

double Usl::peak() const {
  if (kappa <= 0) return sigma >= 1 ? 1 : kInfinite;
  return std::max(1.0, std::sqrt(std::max(0.0, 1 - sigma) / kappa));
}

double Usl::capacity() const {
  if (const double top = peak(); std::isfinite(top)) return at(top);
  return sigma > 0 ? lambda / sigma : kInfinite;
}

std::string_view to_string(Shape shape) {
  switch (shape) {
    case Shape::grows: return "grows";
    case Shape::peaks: return "peaks";
    case Shape::flat: return "flat";
    case Shape::falls: return "falls";
    case Shape::superlinear: return "superlinear";
  }
  return "";
}

Usl fit_usl(const std::vector<ScalePoint>& points) {
  const auto list = weighted(points);
  double per_node = 0;
  double least = kInfinite;
  for (const auto& point : list) {
    if (point.nodes < least) {
      least = point.nodes;
      per_node = point.scale / point.nodes;
    }
  }
  // The sum of squares may have more than one dip: begin at different kinds of curves.
  Usl best;
  double best_squares = kInfinite;
  for (const auto& [sigma, kappa] : {std::pair{0.05, 0.001}, {0.5, 0.0}, {0.0, 0.05}, {0.9, 0.2}}) {
    const auto usl = descend(list, {per_node * (1 + sigma * (least - 1) + kappa * least * (least - 1)), sigma, kappa});
    if (const double sum = squares(list, usl); sum < best_squares) {
      best = usl;
      best_squares = sum;
    }
  }
  return best;
}

std::vector<BandSlice> ScaleFit::band(const std::vector<double>& nodes, double confidence) const {
  std::vector<BandSlice> slices;
  for (const double n : nodes) {
    BandSlice slice{n, usl.at(n), {}, {}};
    std::vector<double> curve;
    std::vector<double> run;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const double value = samples[i].at(n);
      curve.push_back(value);
      // Each curve with several of the residuals, so that the ends aren't a matter of luck.
      for (std::size_t j = 0; j < 5; ++j) run.push_back(value * (1 + residuals[(i * 5 + j) % residuals.size()]));
    }
    slice.curve = percentiles(std::move(curve), confidence);
    slice.run = percentiles(std::move(run), confidence);
    slices.push_back(slice);
  }
  return slices;
}

Result<ScaleFit> fit_scale(const std::vector<ScalePoint>& all, const FitOptions& options) {
  if (auto sound = check(all); !sound) return forward(sound);
  std::vector<ScalePoint> points;
  std::copy_if(all.begin(), all.end(), std::back_inserter(points), [](const auto& point) { return point.complete; });
  const auto groups = by_nodes(points);
  if (groups.size() < kLeastCounts) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("a curve takes {} numbers of nodes at least; there are {}{}", kLeastCounts,
                                      groups.size(), points.size() < all.size() ? " without the incomplete runs" : ""),
                          "Measure more numbers of nodes.");
  }
  ScaleFit fit;
  fit.usl = fit_usl(points);
  fit.used = points.size();
  fit.left_out = all.size() - points.size();
  fit.largest = groups.rbegin()->first;
  double sum = 0;
  double mean = 0;
  for (const auto& point : points) {
    const double off = point.rate / fit.usl.at(point.nodes) - 1;
    fit.residuals.push_back(off);
    sum += off * off;
    mean += point.rate / static_cast<double>(points.size());
  }
  double total = 0;
  double rest = 0;
  for (const auto& point : points) {
    total += (point.rate - mean) * (point.rate - mean);
    rest += std::pow(point.rate - fit.usl.at(point.nodes), 2);
  }
  fit.explained = total > 0 ? 1 - rest / total : 0;
  const auto count = static_cast<double>(points.size());
  fit.spread = std::sqrt(sum / std::max(1.0, count - 3));
  if (fit.spread > kNoCurve && !more_than_in_proportion(groups)) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("the measurements follow no curve: they lie {:.0f} % off it", fit.spread * 100),
                          "Look at the single runs; something else disturbs them.");
  }
  // Residuals of a fit are smaller than the errors that they stand for.
  double centre = 0;
  for (const double off : fit.residuals) centre += off / count;
  for (auto& off : fit.residuals) off = (off - centre) * std::sqrt(count / std::max(1.0, count - 3));
  BootstrapRandom random(options.seed);
  std::vector<double> lambdas, sigmas, kappas, peaks, capacities;
  auto drawn = points;
  for (std::size_t i = 0; i < options.resamples; ++i) {
    for (auto& point : drawn) {
      point.rate = fit.usl.at(point.nodes) * std::max(0.01, 1 + fit.residuals[random.below(fit.residuals.size())]);
    }
    // From the fit itself: it is near already.
    const auto usl =
        descend(weighted(drawn),
                within_bounds({fit.usl.lambda, std::clamp(fit.usl.sigma, 0.01, 0.99), std::max(fit.usl.kappa, 1e-5)}));
    fit.samples.push_back(usl);
    lambdas.push_back(usl.lambda);
    sigmas.push_back(usl.sigma);
    kappas.push_back(usl.kappa);
    peaks.push_back(usl.peak());
    capacities.push_back(usl.capacity());
  }
  fit.lambda = percentiles(std::move(lambdas), options.confidence);
  fit.sigma = percentiles(std::move(sigmas), options.confidence);
  fit.kappa = percentiles(std::move(kappas), options.confidence);
  fit.peak = percentiles(std::move(peaks), options.confidence);
  fit.capacity = percentiles(std::move(capacities), options.confidence);
  fit.shape = shape_of(groups, fit);
  explain(fit, groups);
  return fit;
}

Result<Validation> validate_scale(const std::vector<ScalePoint>& all, const FitOptions& options) {
  if (auto sound = check(all); !sound) return forward(sound);
  std::vector<ScalePoint> points;
  std::copy_if(all.begin(), all.end(), std::back_inserter(points), [](const auto& point) { return point.complete; });
  const auto groups = by_nodes(points);
  const auto half = (groups.size() + 1) / 2;
  if (half < kLeastCounts) {
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("the first half of the sweep has {} numbers of nodes; a curve takes {}", half, kLeastCounts),
        "Measure at least seven numbers of nodes.");
  }
  Validation validation;
  validation.fitted_up_to = std::next(groups.begin(), static_cast<std::ptrdiff_t>(half) - 1)->first;
  std::erase_if(points, [&](const auto& point) { return point.nodes > validation.fitted_up_to; });
  const auto fit = fit_scale(points, options);
  if (!fit) return forward(fit);
  for (auto group = std::next(groups.begin(), static_cast<std::ptrdiff_t>(half)); group != groups.end(); ++group) {
    const auto slice = fit->band({group->first}, options.confidence).front();
    Validation::Row row{group->first, slice.value, slice.run, median_of(group->second), 0, false};
    row.error = row.predicted / row.measured - 1;
    row.within = row.measured >= row.run.low && row.measured <= row.run.high;
    validation.worst_error = std::max(validation.worst_error, std::abs(row.error));
    validation.mean_error += std::abs(row.error) / static_cast<double>(groups.size() - half);
    validation.rows.push_back(row);
  }
  return validation;
}

}  // namespace bridgehead::bench
