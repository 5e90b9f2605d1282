#include "simulation/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bridgehead::simulation {
namespace {

constexpr char kHosts[] = "[[hosts]]\ncount = 4\n";

std::string error_of(const std::string& text) {
  const auto scenario = read_scenario("s.toml", text);
  return scenario ? "read" : scenario.error().describe();
}

TEST(Scenario, EveryKeyIsRead) {
  const auto scenario = read_scenario("s.toml", R"(
name = "a week"
begin = "2026-03-02T00:00:00Z"
length = "7d"
seed = 5
plan_every = "10m"
sustained = "20m"
step = "5m"
lease = "2m"
start_time = "20s"
starts_per_host = 4
[[hosts]]
count = 3
name = "big"
cpus = 128
memory = "1TiB"
racks = 3
idle_watts = 150
busy_watts = 500
asleep_watts = 7
wake_time = "3m"
least_time_on = "30m"
can_sleep = true
[[hosts]]
[guests]
profile = "azure"
count = 60
come_and_go = true
[allowance]
cpu_overcommit = 3
memory_overcommit = 1.2
host_share = 0.1
[policy]
repair = "auto"
balance = "off"
consolidate = "auto"
power = "auto"
power_at_night_only = true
night_from = 21
night_to = 5
evenness = "peak"
ceiling = 0.8
move_price = 0.001
most_moves = 50
failures = 2
horizon = "1h"
moves_per_host = 3
link = "250MB"
effort = 1000
[[rules]]
kind = "apart"
domain = "rack"
hard = false
weight = 3
groups = 4
size = 3
[faults]
host_failures_per_day = 0.01
partitions_per_day = 1
slow_storage_per_day = 2
manager_restarts_per_day = 3
repair = "1h"
partition = "5m"
partition_hosts = 3
slow = "10m"
slow_factor = 8
restart = "30s"
[[faults.at]]
time = "1d2h"
what = "partition"
host = "big002"
length = "15m"
hosts = 2
)");
  ASSERT_TRUE(scenario) << scenario.error().describe();
  EXPECT_EQ(scenario->hosts.size(), 2U);
  EXPECT_EQ(scenario->hosts[0].power.wake, Seconds(180));
  EXPECT_EQ(scenario->hosts[1].name, "host2-");
  EXPECT_EQ(scenario->policy.consolidate, scheduler::Mode::automatic);
  EXPECT_EQ(scenario->policy.link, 250e6);
  EXPECT_EQ(scenario->rules.at(0).domain, scheduler::Domain::rack);
  EXPECT_EQ(scenario->faults.at(0).at, 93600);
  EXPECT_EQ(scenario->rates.restart, Seconds(30));
}

TEST(Scenario, ErrorsNameLineAndNextStep) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "s.toml: there are no hosts. Add a table [[hosts]] with count, cpus and memory."},
      {"length = 7\n", "s.toml, line 1: 'length' must be a time in quotes such as \"90s\""},
      {"name = \"x\"\nlenght = \"1d\"\n",
       "s.toml, line 2: a scenario has no key 'lenght'. Known: name, begin, length,"},
      {"[hosts]\ncount = 4\n", "s.toml, line 1: 'hosts' must be one or more tables: [[hosts]]"},
      {"[[hosts]]\ncount = 0\n", "s.toml, line 2: 'count' must be a whole number from 1 to 20000"},
      {"[[hosts]]\ncount = 4.5\n", "s.toml, line 2: 'count' must be a whole number"},
      {"[[hosts]]\nmemory = 256\n", "s.toml, line 2: 'memory' must be a size in quotes such as \"256GiB\""},
      {"[[hosts]]\ncpus = nan\n", "s.toml, line 2: 'cpus' must be a number from 1 to 4096"},
      {"[[hosts]]\nname = \"a\"\n[[hosts]]\nname = \"a\"\n", "line 3: two groups of hosts are named 'a'. Give each"},
      {std::string(kHosts) + "[guests]\nprofile = \"aws\"\n",
       "line 4: 'profile' must be one of \"azure\", \"bitbrains\", \"office\""},
      {std::string(kHosts) + "[policy]\npower = true\n",
       "line 4: 'power' must be one of \"off\", \"propose\", \"auto\""},
      {std::string(kHosts) + "[policy\n", "s.toml, line 3: Error while parsing table header"},
      {std::string(kHosts) + "[[rules]]\nkind = \"apart\"\nsize = 9\n",
       "a rule keeps 9 guests apart, but there are only 4 hosts. Make 'size' smaller or 'hard' false."},
      {std::string(kHosts) + "[guests]\ncount = 3\n[[rules]]\nkind = \"together\"\nsize = 4\n",
       "rules are about 4 guests, but there are 3. Make 'groups' or 'size' smaller"},
      {std::string(kHosts) + "[[faults.at]]\ntime = \"1h\"\n", "line 3: a fault needs 'time' and 'what'. Like:"},
      {std::string(kHosts) + "[[faults.at]]\ntime = \"1h\"\nwhat = \"host_failure\"\nhost = \"nohost\"\n",
       "line 6: there is no host 'nohost'. Hosts are named by their group and number, like host001"},
      {std::string(kHosts) + "[faults]\nrestart = \"5m\"\n", "'restart' (00:05:00) isn't shorter than 'lease'"},
      {"begin = \"monday\"\n", "line 1: 'begin' must be a time in quotes such as \"2026-01-05T00:00:00Z\""},
  };
  for (const auto& [text, part] : cases) EXPECT_THAT(error_of(text), ::testing::HasSubstr(part)) << text;
}

TEST(Scenario, LengthsOfTime) { EXPECT_EQ(to_text(Seconds(2 * 86400 + 3661)), "2d 01:01:01"); }

}  // namespace
}  // namespace bridgehead::simulation
