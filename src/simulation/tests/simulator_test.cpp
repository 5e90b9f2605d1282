#include "simulation/simulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulation/report.h"
#include "simulation/testing/random_day.h"

namespace bridgehead::simulation {
namespace {

struct Logged {
  Outcome outcome;
  std::string log;
};

Logged logged(const Scenario& scenario) {
  Logged result;
  const auto outcome = run(scenario, {.log = [&](std::string_view line) { result.log += line; }});
  EXPECT_TRUE(outcome);
  result.outcome = *outcome;
  return result;
}

// Nothing happens by itself: full days without sleep, balance or faults.
Scenario quiet(const std::string& more = "") {
  const auto scenario = read_scenario("quiet", R"(
length = "6h"
[[hosts]]
count = 4
[guests]
count = 20
[policy]
balance = "off"
consolidate = "off"
power = "off"
)" + more);
  EXPECT_TRUE(scenario) << scenario.error().describe();
  return *scenario;
}

TEST(Simulator, TheSameSeedGivesTheSameLog) {
  for (const std::uint64_t seed : {3, 17}) {
    const auto day = testing::random_day(seed);
    const auto first = logged(day);
    const auto second = logged(day);
    EXPECT_FALSE(first.log.empty());
    EXPECT_EQ(first.log, second.log);
    EXPECT_EQ(first.outcome.digest, second.outcome.digest);
    auto json = json_report(first.outcome), again = json_report(second.outcome);
    for (auto* one : {&json, &again}) {  // what is of real time
      for (const auto* key : {"real_seconds", "planning_seconds", "longest_planning_seconds"}) one->erase(key);
    }
    EXPECT_EQ(json, again);
    auto other = day;
    ++other.seed;
    EXPECT_NE(logged(other).outcome.digest, first.outcome.digest);
  }
}

TEST(Simulator, AFailedHostsGuestsRunElsewhereWhenItsLeasesAreOver) {
  const auto result = logged(quiet(R"([[faults.at]]
time = "1h"
what = "host_failure"
host = "host001"
length = "2h"
)"));
  EXPECT_TRUE(result.outcome.violations.empty());
  EXPECT_EQ(result.outcome.failures, 1U);
  EXPECT_EQ(result.outcome.waiting_at_end, 0U);
  EXPECT_THAT(result.log, ::testing::HasSubstr("3665.000 leases of host001 are over"));
  EXPECT_GT(result.outcome.down, 0);
}

TEST(Simulator, AHostThatIsCutOffStopsItsGuestsBeforeOthersStartThem) {
  const auto result = logged(quiet(R"([[faults.at]]
time = "1h"
what = "partition"
host = "host001"
length = "20m"
)"));
  EXPECT_TRUE(result.outcome.violations.empty());
  const auto stopped = result.log.find("host001 stops"), over = result.log.find("leases of host001 are over");
  ASSERT_NE(stopped, std::string::npos);
  ASSERT_NE(over, std::string::npos);
  EXPECT_LT(stopped, over);
  EXPECT_EQ(result.outcome.waiting_at_end, 0U);
}

TEST(Simulator, AShortPartitionStopsNothing) {
  const auto result = logged(quiet(R"([[faults.at]]
time = "1h"
what = "partition"
host = "host001"
length = "30s"
)"));
  EXPECT_THAT(result.log, ::testing::HasSubstr("host001 is reached again"));
  EXPECT_EQ(result.outcome.down, 0);
  EXPECT_EQ(result.outcome.counts.starts, 0U);
}

TEST(Simulator, EnergyIsWhatTheHostsTake) {
  auto scenario = quiet();
  scenario.guests.count = 0;
  const auto result = logged(scenario);
  EXPECT_NEAR(result.outcome.energy, 4 * 100.0 * 6 * 3600, 1);
  EXPECT_NEAR(result.outcome.energy_always_on, result.outcome.energy, 1);
}

TEST(Simulator, DemandBeyondAHostIsUnmet) {
  auto scenario = quiet();
  scenario.hosts.front().cpus = 2;
  scenario.allowance.cpu_overcommit = 100;
  scenario.guests = {.profile = Profile::bitbrains, .count = 60};
  const auto result = logged(scenario);
  EXPECT_GT(result.outcome.unmet, 0);
  EXPECT_GE(result.outcome.worst_unmet, 60);
  EXPECT_FALSE(result.outcome.worst_guest.empty());
}

TEST(Simulator, ReportsNeedNothingFromElsewhere) {
  auto scenario = quiet();
  scenario.name = "<script>alert(1)</script>";
  const auto outcome = logged(scenario).outcome;
  const auto page = html_report(outcome);
  EXPECT_THAT(page, ::testing::HasSubstr("&lt;script&gt;"));
  for (const auto* part : {"<script", "http", "src=", "url(", "@import"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  EXPECT_THAT(page, ::testing::HasSubstr("<polyline"));
  const auto text = text_report(outcome, 60);
  EXPECT_THAT(text, ::testing::HasSubstr("invariants     held in"));
  EXPECT_EQ(json_report(outcome).at("samples").size(), outcome.samples.size());
}

TEST(Simulator, ATraceThatCantBeReadIsAnError) {
  auto scenario = quiet();
  scenario.guests.file = "no-such.csv";
  const auto outcome = run(scenario, {});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace bridgehead::simulation
