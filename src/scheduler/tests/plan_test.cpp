#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/plan.h"
#include "scheduler/testing/clusters.h"

namespace bridgehead::scheduler {
namespace {

using testing::apply;
using testing::guest;
using testing::host;

constexpr Timestamp kNow{};
constexpr auto kCpuUsed = static_cast<std::size_t>(Resource::cpu_used);

Policy only_repair() {
  Policy policy;
  policy.balance = policy.consolidate = Mode::off;
  policy.failures = 0;
  return policy;
}

Policy only_balance() {
  Policy policy;
  policy.consolidate = Mode::off;
  policy.failures = 0;
  return policy;
}

TEST(Plan, NothingToDoOnAnEvenCluster) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {guest("1", 0), guest("2", 1)}};
  const auto made = plan(cluster, only_balance(), kNow, 1);
  EXPECT_TRUE(made.actions.empty());
  EXPECT_TRUE(made.conflicts.empty());
}

TEST(Plan, PlacesGuestsEvenly) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {}};
  for (int i = 0; i < 6; ++i) cluster.guests.push_back(guest(std::to_string(i), kNowhere));
  const auto made = plan(cluster, only_repair(), kNow, 1);
  ASSERT_EQ(made.actions.size(), 6u);
  EXPECT_EQ(made.after.unplaced, 0);
  const auto on_a = std::count_if(made.actions.begin(), made.actions.end(), [](const Action& a) { return a.to == 0; });
  EXPECT_EQ(on_a, 3);
  EXPECT_EQ(made.actions[0].reason,
            "place 0 (2 vCPUs, 4 GiB) on a: 19 % of its virtual CPUs and 19 % of its memory are taken then");
}

TEST(Plan, EvacuationSpreadsOverHosts) {
  Cluster cluster{.hosts = {host("a"), host("b"), host("c"), host("d")}, .guests = {}};
  cluster.hosts[0].evacuate = true;
  for (int i = 0; i < 9; ++i) cluster.guests.push_back(guest(std::to_string(i), 0));
  const auto made = plan(cluster, only_repair(), kNow, 1);
  ASSERT_EQ(made.actions.size(), 9u);
  for (HostIndex to = 1; to < 4; ++to) {
    EXPECT_EQ(std::count_if(made.actions.begin(), made.actions.end(), [&](const Action& a) { return a.to == to; }), 3);
  }
  EXPECT_EQ(made.actions[0].purpose, Purpose::evacuate);
  EXPECT_EQ(made.actions[0].reason, "move 0 (2 vCPUs, 4 GiB) from a to b: a is to be emptied");
}

TEST(Plan, MendsARuleWithOneMove) {
  Cluster cluster{.hosts = {host("a"), host("b"), host("c")}, .guests = {guest("1", 0), guest("2", 0), guest("3", 1)}};
  cluster.rules.push_back({.name = "replicas", .kind = RuleKind::apart, .guests = {0, 1, 2}});
  const auto made = plan(cluster, only_repair(), kNow, 1);
  ASSERT_EQ(made.actions.size(), 1u);
  EXPECT_EQ(made.actions[0].to, 2u);
  EXPECT_EQ(made.actions[0].purpose, Purpose::repair);
  EXPECT_EQ(made.actions[0].reason, "move 1 (2 vCPUs, 4 GiB) from a to c: mends rule 'replicas'");
  EXPECT_TRUE(plan(apply(cluster, made), only_repair(), kNow, 2).actions.empty());
}

TEST(Plan, MovesTheRightGuestAndThenRests) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {guest("1", 0), guest("2", 0), guest("3", 0)}};
  cluster.guests[1].demand = {4, 8.0 * (1 << 30), 0, 0, 0, 0};
  const auto made = plan(cluster, only_balance(), kNow, 1);
  ASSERT_EQ(made.actions.size(), 1u);
  EXPECT_EQ(made.actions[0].guest, 1u);
  EXPECT_GT(made.actions[0].gain, 0);
  EXPECT_TRUE(plan(apply(cluster, made), only_balance(), kNow, 7).actions.empty());
}

TEST(Plan, TellsTheSmallestSetOfRulesThatContradict) {
  Cluster cluster{.hosts = {host("a"), host("b"), host("c")},
                  .guests = {guest("1", 0), guest("2", 1), guest("3", kNowhere), guest("4", 2)}};
  cluster.rules.push_back({.name = "replicas", .kind = RuleKind::apart, .guests = {0, 1, 2}});
  cluster.rules.push_back({.name = "licence", .kind = RuleKind::on_hosts, .guests = {0, 1, 2}, .hosts = {0, 1}});
  cluster.rules.push_back({.name = "quiet", .kind = RuleKind::apart, .guests = {2, 3}});
  const auto made = plan(cluster, only_repair(), kNow, 1);
  EXPECT_TRUE(made.actions.empty());
  ASSERT_EQ(made.conflicts.size(), 1u);
  EXPECT_EQ(made.conflicts[0].rules, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(made.conflicts[0].reason,
            "3 has no host: rules 'replicas', 'licence' can't hold together with the room there is");
  for (const auto rule : made.conflicts[0].rules) {
    auto fewer = cluster;
    fewer.rules.erase(fewer.rules.begin() + rule);
    EXPECT_TRUE(plan(fewer, only_repair(), kNow, 1).conflicts.empty());
  }
}

TEST(Plan, RefusesAnEvacuationThatWouldOverload) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {guest("1", 0, 2, 40), guest("2", 1, 2, 40)}};
  cluster.hosts[0].evacuate = true;
  const auto made = plan(cluster, only_repair(), kNow, 1);
  EXPECT_TRUE(made.actions.empty());
  ASSERT_EQ(made.conflicts.size(), 1u);
  EXPECT_EQ(made.conflicts[0].reason,
            "1 can't leave a, which is to be emptied: 1 host with less than 40 GiB of memory left");
}

TEST(Plan, SaysWhyAGuestStays) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {guest("1", 0)}};
  cluster.hosts[0].evacuate = true;
  cluster.guests[0].may_move = false;
  cluster.guests[0].why_not = "it uses a device of its host";
  const auto made = plan(cluster, only_repair(), kNow, 1);
  ASSERT_EQ(made.conflicts.size(), 1u);
  EXPECT_EQ(made.conflicts[0].reason, "1 can't leave a, which is to be emptied: it uses a device of its host");
}

TEST(Plan, MovesUnderWayCountAtBothEnds) {
  Cluster cluster{.hosts = {host("a"), host("b"), host("c")},
                  .guests = {guest("1", 0, 2, 40), guest("2", kNowhere, 2, 30)}};
  cluster.hosts[2].open = false;
  cluster.moves = {{.guest = 0, .to = 1}};
  const auto made = plan(cluster, only_repair(), kNow, 1);
  EXPECT_TRUE(made.actions.empty()) << made.actions[0].reason;
  EXPECT_EQ(made.after.unplaced, 1);
}

TEST(Plan, AGuestThatLeavesKeepsItsHostExclusiveUntilItIsGone) {
  // "secret" is on its way from a to b, which is its own then; "x" is to be placed. Only when it is over a is free.
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {guest("secret", 0), guest("x", kNowhere)}};
  cluster.rules = {{.name = "alone", .kind = RuleKind::exclusive, .guests = {0}}};
  cluster.moves = {{.guest = 0, .to = 1}};
  EXPECT_TRUE(plan(cluster, only_repair(), kNow, 1).actions.empty());
  cluster.moves.clear();
  cluster.guests[0].host = 1;
  const auto then = plan(cluster, only_repair(), kNow, 1);
  ASSERT_EQ(then.actions.size(), 1u);
  EXPECT_EQ(then.actions[0].to, 0u);

  // The other way round: "x" leaves a, and "secret" doesn't come before it is gone.
  cluster.guests = {guest("secret", kNowhere), guest("x", 0)};
  cluster.moves = {{.guest = 1, .to = 1}};
  EXPECT_TRUE(plan(cluster, only_repair(), kNow, 1).actions.empty());
}

TEST(Plan, GathersGuestsAndLetsHostsSleep) {
  Cluster cluster;
  for (int h = 0; h < 4; ++h) {
    cluster.hosts.push_back(host(std::to_string(h)));
    cluster.hosts.back().power_model.can_be_switched = true;
    cluster.guests.push_back(guest(std::to_string(h), static_cast<HostIndex>(h), 4, 8));
  }
  Policy policy;
  policy.power = Mode::automatic;
  const Timestamp now(std::chrono::hours(24));
  const auto made = plan(cluster, policy, now, 1);
  EXPECT_EQ(made.before.hosts_on, 4);
  EXPECT_EQ(made.after.hosts_on, 2);  // one in use, one in case it fails
  EXPECT_LT(made.watts_after, made.watts_before);
  EXPECT_EQ(std::count_if(made.actions.begin(), made.actions.end(),
                          [](const Action& a) { return a.kind == ActionKind::sleep; }),
            2);
  EXPECT_TRUE(plan(apply(cluster, made, now), policy, now, 2).actions.empty());
}

TEST(Plan, RelievesABusyHostAtOnceByAGuestThatHasntMovedLately) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {}};
  for (auto& one : cluster.hosts) one.limits[kCpuUsed] = 16;
  for (int i = 0; i < 4; ++i) {
    cluster.guests.push_back(guest(std::to_string(i), 0));
    cluster.guests.back().demand[kCpuUsed] = 4;
  }
  cluster.guests.push_back(guest("other", 1));
  cluster.guests[0].moves_of_a_day = cluster.guests[1].moves_of_a_day = kMostMovesInADay;
  cluster.guests[2].moves_of_a_day = 1;
  Policy policy = only_repair();
  policy.consolidate = Mode::automatic;
  policy.urgent_only = true;
  const auto made = plan(cluster, policy, kNow, 1);
  ASSERT_EQ(made.actions.size(), 1u);
  EXPECT_EQ(made.actions[0].guest, 3u);
  cluster.guests[3].may_move = false;
  EXPECT_EQ(plan(cluster, policy, kNow, 1).actions.at(0).guest, 2u);
  cluster.guests[2].moves_of_a_day = kMostMovesInADay;
  EXPECT_TRUE(plan(cluster, policy, kNow, 1).actions.empty()) << "the others rest";
  // Beyond what the host has they don't.
  cluster.guests[0].demand[kCpuUsed] = 6;
  EXPECT_EQ(plan(cluster, policy, kNow, 1).actions.size(), 1u);
}

TEST(Plan, WakesHostsBeforeTheForecastNeedsThem) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {guest("1", 0, 16, 32)}};
  cluster.hosts[1].power = HostPower::asleep;
  cluster.hosts[1].ready = false;
  cluster.hosts[1].power_model.can_be_switched = true;
  Policy policy;
  policy.power = Mode::automatic;
  policy.failures = 0;
  const Amounts little{16, 32 * testing::kGiB};
  const Amounts much{48, 96 * testing::kGiB};
  cluster.forecast = {little, little, little, much};
  EXPECT_TRUE(plan(cluster, policy, kNow, 1).actions.empty());
  cluster.forecast = {little, much};
  const auto made = plan(cluster, policy, kNow, 1);
  ASSERT_EQ(made.actions.size(), 1u);
  EXPECT_EQ(made.actions[0].reason, "wake b: its capacity is needed, and it takes 120 s to be ready");
  EXPECT_TRUE(plan(apply(cluster, made), policy, kNow, 2).actions.empty());
}

TEST(Plan, PlacesAfterTheGuestsThatItStartsAfter) {
  Cluster cluster{.hosts = {host("a"), host("b")}, .guests = {guest("web", kNowhere), guest("database", kNowhere)}};
  cluster.guests[0].starts_after = {1};
  const auto made = plan(cluster, only_repair(), kNow, 1);
  ASSERT_EQ(made.actions.size(), 2u);
  EXPECT_EQ(made.actions[0].guest, 1u);
  EXPECT_EQ(made.actions[1].after, (std::vector<std::uint32_t>{0}));
}

}  // namespace
}  // namespace bridgehead::scheduler
