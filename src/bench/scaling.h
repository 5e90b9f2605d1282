// Scaling: the Universal Scalability Law fitted to a sweep over nodes, what it says, and how far it can be trusted.
//
//   X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))        (Gunther, "Guerrilla Capacity Planning", 2007, ch.
//   4-6)
//
// lambda: what one node gets; sigma: the share that is serial (contention); kappa: the price of agreeing between all
// pairs (coherency). Pure functions; thread-safe; the same input and seed give the same figures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/statistics.h"

namespace bridgehead::bench {

struct ScalePoint {
  double nodes = 0;
  double rate = 0;       // in any unit; all alike
  bool complete = true;  // false: a node was lost in the run; it doesn't count for the fit
};

struct Usl {
  double lambda = 0;
  double sigma = 0;  // 0..1
  double kappa = 0;  // 0 or more

  double at(double nodes) const { return lambda * nodes / (1 + sigma * (nodes - 1) + kappa * nodes * (nodes - 1)); }
  // Where the curve turns down; infinite without coherency. At least 1.
  double peak() const;
  // The most that can be had at any number of nodes; infinite where nothing limits.
  double capacity() const;
};

enum class Shape {
  grows,        // and its peak, if it has one, is beyond what was measured
  peaks,        // its peak is within what was measured
  flat,         // more nodes bring next to nothing
  falls,        // one node, or two, get more than all
  superlinear,  // more than in proportion: something else than the storage grows with the nodes (caches)
};
std::string_view to_string(Shape shape);

struct BandSlice {
  double nodes = 0;
  double value = 0;
  Interval curve;  // where the curve lies
  Interval run;    // where another measurement would lie
};

struct ScaleFit {
  Usl usl;
  Interval lambda, sigma, kappa;
  Interval peak;  // its high end is infinite where the data doesn't show that there is a peak
  Interval capacity;
  Shape shape = Shape::grows;
  double spread = 0;     // of measurements around the curve, as a part of it
  double explained = 0;  // R^2 of the points
  std::size_t used = 0;
  std::size_t left_out = 0;        // incomplete runs
  double largest = 0;              // the most nodes that were measured
  std::vector<Usl> samples;        // of the bootstrap: for bands and predictions
  std::vector<double> residuals;   // relative, rescaled; what measurements scatter by
  std::vector<std::string> notes;  // what a reader must know: in sentences

  // Confidence band at these numbers of nodes.
  std::vector<BandSlice> band(const std::vector<double>& nodes, double confidence = 0.95) const;
};

struct FitOptions {
  double confidence = 0.95;
  std::size_t resamples = 1000;
  std::uint64_t seed = 1;
};

// Weighted nonlinear least squares: errors in proportion to the rate, so that weights are one over the square of the
// mean at that number of nodes; bounds by projection. Intervals: bootstrap of rescaled residuals, percentiles (Davison
// and Hinkley, "Bootstrap Methods and their Application", 1997, ch. 6 and 7). Over 300 seeds intervals of 95 % covered
// the truth in 93 to 95 % of the cases; where sigma is really 0 only in 88 to 96 %: at a bound the bootstrap isn't
// consistent (Andrews, Econometrica 68, 2000). Errors: invalid_argument (a value that can't be a measurement, with its
// place), failed_precondition (fewer than four numbers of nodes; points that follow no curve).
Result<ScaleFit> fit_scale(const std::vector<ScalePoint>& points, const FitOptions& options = {});

// Only the curve, for what calls it often. Points must be sound.
Usl fit_usl(const std::vector<ScalePoint>& points);

// The first half of the numbers of nodes predicts the second half.
struct Validation {
  struct Row {
    double nodes = 0;
    double predicted = 0;
    Interval run;
    double measured = 0;  // the median
    double error = 0;     // (predicted - measured) / measured
    bool within = false;
  };
  double fitted_up_to = 0;
  std::vector<Row> rows;
  double mean_error = 0;  // of absolute values
  double worst_error = 0;
};
// Errors: failed_precondition (the half has fewer than four numbers of nodes).
Result<Validation> validate_scale(const std::vector<ScalePoint>& points, const FitOptions& options = {});

}  // namespace bridgehead::bench
