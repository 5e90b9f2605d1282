#include "bench/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bridgehead::bench {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<double> skewed(BootstrapRandom& random, std::size_t count, double factor = 1) {
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(factor * std::exp(-std::log(1 - random.uniform()) * 0.2));
  return values;
}

TEST(Statistics, MedianAndItsExactInterval) {
  const auto five = summarise(std::vector<double>{30, 10, 50, 20, 40});
  EXPECT_EQ(five.median, 30);
  EXPECT_EQ(five.interval.low, 10);
  EXPECT_EQ(five.interval.high, 50);
  EXPECT_DOUBLE_EQ(five.interval.confidence, 0.9375) << "five values can't give 95 %, and it says so";
  // The published pair for ten values: the second and the ninth, 97.85 %.
  const auto ten = summarise(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  EXPECT_EQ(ten.median, 5.5);
  EXPECT_EQ(ten.interval.low, 2);
  EXPECT_EQ(ten.interval.high, 9);
  EXPECT_NEAR(ten.interval.confidence, 0.9785, 0.0001);
  const auto one = summarise(std::vector<double>{7});
  EXPECT_EQ(one.median, 7);
  EXPECT_EQ(one.interval.confidence, 0);
  EXPECT_EQ(summarise({}).count, 0U);
}

TEST(Statistics, IntervalsCoverTheMedianOfASkewedDistribution) {
  BootstrapRandom random(3);
  const double truth = std::exp(0.2 * std::log(2.0));
  for (const std::size_t count : {5U, 12U, 40U}) {
    int covered = 0;
    double claimed = 0;
    for (int i = 0; i < 2000; ++i) {
      const auto interval = summarise(skewed(random, count)).interval;
      covered += truth >= interval.low && truth <= interval.high;
      claimed = interval.confidence;
    }
    EXPECT_NEAR(covered / 2000.0, claimed, 0.02) << count;
  }
}

TEST(Statistics, OutliersAreNamedAndKept) {
  const auto summary = summarise(std::vector<double>{100, 101, 99, 100, 37, 102});
  EXPECT_THAT(summary.outliers, ElementsAre(4));
  EXPECT_EQ(summary.count, 6U);
  EXPECT_EQ(summary.least, 37);
  EXPECT_THAT(summarise(std::vector<double>{5, 5, 5, 5, 5, 9}).outliers, ElementsAre(5));
  EXPECT_THAT(summarise(std::vector<double>{5, 5, 5, 5}).outliers, IsEmpty());
  EXPECT_THAT(summarise(std::vector<double>{98, 103, 100, 97, 105}).outliers, IsEmpty());
  EXPECT_THAT(summarise(std::vector<double>{1, 1, 50}).outliers, IsEmpty());
}

TEST(Statistics, RatioHasTheExactConfidenceOfTheRankSum) {
  const auto three = ratio_of(std::vector<double>{10, 11, 12}, std::vector<double>{30, 33, 36});
  EXPECT_NEAR(three.value, 3, 0.001);
  EXPECT_NEAR(three.interval.confidence, 0.9, 1e-12) << "three and three: 1 - 2/20";
  EXPECT_TRUE(three.distinct());
  // Tables of the rank sum: five and five, U = 2 has a tail of 4/252.
  EXPECT_NEAR(ratio_of(std::vector<double>{1, 2, 3, 4, 5}, std::vector<double>{1, 2, 3, 4, 5}).interval.confidence,
              1 - 2 * 4 / 252.0, 1e-9);
  EXPECT_EQ(ratio_of(std::vector<double>{10}, std::vector<double>{30, 31}).interval.confidence, 0);
  EXPECT_FALSE(ratio_of(std::vector<double>{10, 20, 30}, std::vector<double>{11, 19, 31}).distinct());
}

TEST(Statistics, RatioIntervalsCover) {
  BootstrapRandom random(5);
  for (const auto& [m, n] : {std::pair{5U, 5U}, {3U, 8U}, {20U, 20U}}) {
    int covered = 0;
    double claimed = 0;
    for (int i = 0; i < 1000; ++i) {
      const auto ratio = ratio_of(skewed(random, m), skewed(random, n, 4.5));
      covered += ratio.interval.low <= 4.5 && 4.5 <= ratio.interval.high;
      claimed = ratio.interval.confidence;
    }
    EXPECT_GE(claimed, 0.9);
    EXPECT_NEAR(covered / 1000.0, claimed, 0.03) << m << " and " << n;
  }
}

}  // namespace
}  // namespace bridgehead::bench
