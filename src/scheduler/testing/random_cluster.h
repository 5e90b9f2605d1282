// Random clusters and policies with everything in them that a planner has to look at, from a seed.
#pragma once

#include <random>

#include "scheduler/testing/clusters.h"

namespace bridgehead::scheduler::testing {

struct Case {
  Cluster cluster;
  Policy policy;
  Timestamp now;
};

inline Case random_case(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const auto below = [&](std::size_t count) { return static_cast<std::size_t>(engine() % count); };
  const auto chance = [&](std::size_t in_a_hundred) { return below(100) < in_a_hundred; };
  Case made{.now = Timestamp(std::chrono::hours(24 * 365))};
  auto& cluster = made.cluster;
  const auto hosts = 1 + below(9);
  for (std::size_t h = 0; h < hosts; ++h) {
    auto one = host(fmt::format("h{}", h), chance(80) ? 32 : 48, chance(80) ? 64 : 96);
    one.limits[2] = one.limits[0] / 4;
    one.ready = !chance(5);
    one.open = !chance(8);
    one.evacuate = chance(8);
    one.rack = chance(70) ? fmt::format("r{}", h / 3) : "";
    one.pools = chance(85) ? std::vector<std::uint32_t>{0, 1} : std::vector<std::uint32_t>{0};
    one.power_model.can_be_switched = chance(70);
    if (chance(10)) one.power = HostPower::asleep;
    cluster.hosts.push_back(one);
  }
  const auto runs = [&](std::size_t h) { return cluster.hosts[h].power == HostPower::on; };
  const auto guests = below(30);
  for (std::size_t g = 0; g < guests; ++g) {
    auto one =
        guest(fmt::format("g{}", g), kNowhere, static_cast<double>(1 + below(6)), static_cast<double>(1 + below(12)));
    one.demand[2] = one.demand[0] * 0.1 * static_cast<double>(below(4));
    const auto on = below(1 + below(hosts));
    if (!chance(12) && runs(on)) one.host = static_cast<HostIndex>(on);
    one.may_move = !chance(8);
    one.pools = chance(85) ? std::vector<std::uint32_t>{0} : std::vector<std::uint32_t>{1};
    one.priority = static_cast<std::int32_t>(below(3));
    one.memory_to_copy = one.demand[1];
    if (g > 0 && chance(10)) one.starts_after = {static_cast<GuestIndex>(below(g))};
    cluster.guests.push_back(one);
  }
  cluster.pools = {"a", "b"};
  const auto rules = guests < 2 ? 0 : below(5);
  for (std::size_t i = 0; i < rules; ++i) {
    Rule rule{.name = fmt::format("rule {}", i)};
    constexpr RuleKind kKinds[] = {RuleKind::apart,    RuleKind::apart,     RuleKind::together,
                                   RuleKind::on_hosts, RuleKind::off_hosts, RuleKind::exclusive};
    rule.kind = kKinds[below(6)];
    rule.hard = chance(70);
    rule.weight = static_cast<double>(1 + below(5));
    rule.domain = chance(70) ? Domain::host : Domain::rack;
    for (std::size_t n = 1 + below(4); n > 0; --n) rule.guests.push_back(static_cast<GuestIndex>(below(guests)));
    for (std::size_t n = 1 + below(3); n > 0; --n) rule.hosts.push_back(static_cast<HostIndex>(below(hosts)));
    for (auto* list : {&rule.guests, &rule.hosts}) {
      std::sort(list->begin(), list->end());
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    if (rule.kind != RuleKind::on_hosts && rule.kind != RuleKind::off_hosts) rule.hosts.clear();
    cluster.rules.push_back(rule);
  }
  for (std::size_t g = 0; g < guests; ++g) {
    const auto to = static_cast<HostIndex>(below(hosts));
    const bool moves = chance(4) && cluster.guests[g].host != kNowhere && cluster.guests[g].host != to && runs(to);
    if (moves) cluster.moves.push_back({static_cast<GuestIndex>(g), to});
  }
  auto& policy = made.policy;
  const auto mode = [&](std::size_t off) { return chance(off) ? Mode::off : Mode::automatic; };
  policy.repair = mode(10);
  policy.balance = mode(25);
  policy.consolidate = mode(50);
  policy.power = mode(50);
  policy.evenness = chance(75) ? Evenness::deviation : Evenness::peak;
  policy.failures = static_cast<std::uint32_t>(below(3));
  policy.effort = 40'000;
  if (chance(30)) {
    for (std::size_t i = 0; i < 4; ++i) {
      Amounts sample{};
      for (const auto& one : cluster.guests) {
        for (std::size_t r = 0; r < kResources; ++r)
          sample[r] += one.demand[r] * (0.6 + 0.2 * static_cast<double>(below(5)));
      }
      cluster.forecast.push_back(sample);
    }
  }
  return made;
}

}  // namespace bridgehead::scheduler::testing
