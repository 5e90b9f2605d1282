#include "bench/bend.h"

#include <gtest/gtest.h>

#include "bench/tests/sweeps.h"

namespace bridgehead::bench {
namespace {

TEST(BendFit, RecoversWhatMadeExactData) {
  for (const Bend truth : {Bend{100, 450}, Bend{25, 25}, Bend{3, 7.5}, Bend{1e8, 7e8}}) {
    const auto fit = fit_bend(sweep(truth, 9, 2, 0, 1), {.resamples = 10});
    EXPECT_NEAR(fit.bend.per_node / truth.per_node, 1, 1e-9);
    EXPECT_NEAR(fit.bend.limit / truth.limit, 1, 1e-9);
    EXPECT_NEAR(fit.bend.nodes_at_limit(), truth.limit / truth.per_node, 1e-6);
  }
}

TEST(BendFit, ProportionHasNoLimit) {
  EXPECT_TRUE(std::isinf(fit_bend(sweep(Bend{100, kInfinite}, 6, 2, 0, 1), {.resamples = 10}).bend.limit));
  int none = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto fit = fit_bend(sweep(Bend{100, kInfinite}, 6, 3, 0.03, seed), {.resamples = 10});
    none += std::isinf(fit.bend.limit);
    EXPECT_NEAR(fit.bend.per_node, 100, 3);
  }
  EXPECT_GE(none, 17);
}

// As in UslFit: of 100 a true 95 % gives 89 or more with a probability of over 99 %.
TEST(BendFit, IntervalsCoverTheTruthOverManySeeds) {
  constexpr int kSeeds = 100;
  const Bend truth{100, 480};
  int per_node = 0, limit = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto fit = fit_bend(sweep(truth, 10, 3, 0.04, seed), {.resamples = 200, .seed = seed});
    per_node += truth.per_node >= fit.per_node.low && truth.per_node <= fit.per_node.high;
    limit += truth.limit >= fit.limit.low && truth.limit <= fit.limit.high;
  }
  EXPECT_GE(per_node, kSeeds * 0.89) << per_node;
  EXPECT_GE(limit, kSeeds * 0.89) << limit;
}

TEST(Form, EachIsKnownByItsOwnData) {
  int law = 0, bend = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto smooth = sweep(Usl{100, 0.08, 0.004}, 10, 3, 0.02, seed);
    law += form_of(smooth, fit_usl(smooth), fit_bend(smooth, {.resamples = 1}).bend) == Form::law;
    const auto sharp = sweep(Bend{100, 480}, 10, 3, 0.02, seed);
    bend += form_of(sharp, fit_usl(sharp), fit_bend(sharp, {.resamples = 1}).bend) == Form::bend;
  }
  EXPECT_GE(law, 19);
  EXPECT_GE(bend, 19);
}

TEST(BendFit, IncompleteRunsDontCount) {
  auto points = sweep(Bend{100, 300}, 6, 2, 0, 1);
  points.push_back({6, 1, false});
  EXPECT_NEAR(fit_bend(points, {.resamples = 10}).bend.limit, 300, 1e-9);
}

}  // namespace
}  // namespace bridgehead::bench
