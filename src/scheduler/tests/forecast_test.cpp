#include "scheduler/forecast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace bridgehead::scheduler {
namespace {

constexpr double kDays = 24 * 3600;

// `what` by seconds since the beginning, which is a Thursday at midnight, with noise.
template <typename Function>
History history(double days, double noise, Function what, std::uint64_t seed = 1) {
  History made;
  std::mt19937_64 engine(seed);
  const auto count = static_cast<std::size_t>(days * kDays / made.step.count());
  for (std::size_t i = 0; i < count; ++i) {
    const double random = static_cast<double>(engine() >> 11) * 0x1.0p-53 * 2 - 1;
    made.samples.push_back(std::max(0.0, what(static_cast<double>(i) * made.step.count()) + noise * random));
  }
  return made;
}

double office(double seconds) {
  const double hour = std::fmod(seconds / 3600, 24);
  return hour >= 8 && hour < 18 ? 8 : 1;
}

double office_on_weekdays(double seconds) {
  const auto day = static_cast<int>(seconds / kDays) % 7;  // 0 = Thursday
  return day == 2 || day == 3 ? 1 : office(seconds);
}

TEST(Forecast, NothingIsKnownOfNothing) { EXPECT_EQ(Forecast(History{}).peak(Seconds(3600)), 0); }

TEST(Forecast, ConstantLoadStaysAndNoiseOnlyWidensTheMargin) {
  const Forecast quiet(history(3, 0, [](double) { return 4.0; }));
  EXPECT_DOUBLE_EQ(quiet.peak(Seconds(1800)), 4);
  const Forecast noisy(history(3, 1, [](double) { return 4.0; }));
  EXPECT_NEAR(noisy.peak(Seconds(1800)), 4.8, 0.4);
}

TEST(Forecast, SpikesSayNothing) {
  auto given = history(3, 0.2, [](double) { return 2.0; });
  for (std::size_t i = 7; i < given.samples.size(); i += 41) given.samples[i] = 16;
  given.samples.back() = 16;
  EXPECT_LT(Forecast(given).peak(Seconds(1800)), 2.5);
}

TEST(Forecast, LoadThatLastsCounts) {
  const Forecast grown(history(5 + 2.0 / 24, 0.1, [](double s) { return s < 5 * kDays ? 2.0 : 9.0; }));
  EXPECT_GT(grown.peak(Seconds(1800)), 8.5);
}

TEST(Forecast, SeesTheMorningComeByTheDailyPattern) {
  const auto until_seven = history(5 + 7.0 / 24, 0.3, office);
  const Forecast forecast(until_seven);
  EXPECT_LT(forecast.peak(Seconds(1800)), 2);
  EXPECT_GT(forecast.peak(Seconds(2 * 3600)), 7.5);
  const auto peaks = forecast.peaks(Seconds(1800), 24);
  EXPECT_LT(peaks[0], 2);
  EXPECT_GT(peaks[3], 7.5);
  EXPECT_LT(peaks[23], 2.5);  // 18:30, after work
}

TEST(Forecast, KnowsTheWeekendAfterTwoWeeks) {
  // It ends on a Friday evening (day 15 is a Friday): tomorrow nobody comes.
  const Forecast forecast(history(15.9, 0.3, office_on_weekdays));
  EXPECT_LT(forecast.peak(Seconds(20 * 3600)), 2.5);
  EXPECT_GT(forecast.peak(Seconds(64 * 3600)), 7.5);  // Monday, by midday
}

// Means of hours fill each second slot of half an hour only.
TEST(Forecast, HoursTellTheDailyPatternAsFinerStepsDo) {
  History hours{.step = Seconds(3600)};
  for (int hour = 0; hour < 7 * 24; ++hour) hours.samples.push_back(office(hour * 3600.0));
  const Pattern pattern(hours);
  ASSERT_TRUE(pattern.known());
  for (const double hour : {2.0, 2.5, 3.5, 20.75}) {
    const auto at = [&](double h) { return pattern.at(Timestamp(std::chrono::seconds(static_cast<int>(h * 3600)))); };
    EXPECT_NEAR(at(12.25) - at(hour), 7, 1e-6) << hour;
  }
  // The level is the last two hours'; a night that is busier than others makes the day busier, too.
  History recent{.begin = Timestamp(std::chrono::hours(7 * 24)), .samples = std::vector<double>(24, 3.0)};
  EXPECT_NEAR(Forecast(pattern, recent).peak(Seconds(8 * 3600)), 10, 0.1);
}

TEST(Forecast, MissingSamplesAreLeftOut) {
  auto given = history(5 + 7.0 / 24, 0.3, office);
  for (std::size_t i = 0; i < given.samples.size(); i += 3) given.samples[i] = -1;
  EXPECT_GT(Forecast(given).peak(Seconds(2 * 3600)), 7.5);
}

TEST(Forecast, BurstsOfFewLargeGuestsCountMore) {
  EXPECT_EQ(with_bursts(3, 3, 20, 48), 3);
  EXPECT_EQ(with_bursts(3, 2, 20, 48), 3) << "no peak below the mean";
  const double small = with_bursts(1, 2, 5, 48) - 1;
  const double large = with_bursts(4, 8, 5, 48) - 4;
  EXPECT_GT(small, 0);
  EXPECT_GT(large, 8 * small) << "four times as large, sixteen times the variance";
  EXPECT_LE(with_bursts(4, 40, 5, 48), 40) << "never beyond the peak";
  EXPECT_LT(with_bursts(1, 2, 5, 96), with_bursts(1, 2, 5, 48)) << "a larger host evens out more";
}

}  // namespace
}  // namespace bridgehead::scheduler
