// Bend: rate that grows with the nodes until a hard limit (a link, a disk) holds it: X(N) = min(a N, C). The bound of
// bottleneck analysis (Lazowska and others, "Quantitative System Performance", 1984, ch. 5). Pure; thread-safe; the
// same input and seed give the same figures.
#pragma once

#include "bench/scaling.h"

namespace bridgehead::bench {

struct Bend {
  double per_node = 0;
  double limit = 0;  // infinite: none was reached
  double at(double nodes) const;
  double nodes_at_limit() const { return limit / per_node; }
};

struct BendFit {
  Bend bend;
  Interval per_node, limit;
  double spread = 0;
  std::vector<Bend> samples;  // of the bootstrap
  std::vector<double> residuals;

  // What other runs there may get: of every sample with several of the residuals.
  std::vector<double> runs_at(double nodes) const;
};

// By the least squares of relative errors, over all places where the bend may be, or none where a limit explains no
// more than chance would; intervals as those of fit_scale. Points must be sound (fit_scale has checked them);
// incomplete ones are left out.
BendFit fit_bend(const std::vector<ScalePoint>& points, const FitOptions& options = {});

// Which of the two forms the points have, by Akaike's criterion for small samples: what a form explains against its
// number of parameters.
enum class Form { law, bend };
Form form_of(const std::vector<ScalePoint>& points, const Usl& usl, const Bend& bend);

}  // namespace bridgehead::bench
