// A day of a small cluster, made of a seed: hosts, guests, rules, policy and many more faults than real life has.
#pragma once

#include "simulation/dice.h"
#include "simulation/scenario.h"

namespace bridgehead::simulation::testing {

inline Scenario random_day(std::uint64_t seed) {
  using scheduler::Domain;
  using scheduler::Mode;
  using scheduler::RuleKind;
  Dice dice(seed, "random day");
  Scenario day;
  day.name = fmt::format("random day {}", seed);
  day.seed = seed;
  day.begin += std::chrono::days(dice.below(7));
  day.step = dice.chance(0.3) ? Seconds(60) : Seconds(300);
  day.plan_every = Seconds(900);
  const std::size_t hosts = 3 + dice.below(28);
  HostGroup group{.count = hosts, .cpus = 16, .memory = 128.0 * 1073741824, .racks = 1 + dice.below(4)};
  group.power.can_be_switched = dice.chance(0.8);
  group.power.wake = Seconds(dice.between(20, 300));
  day.hosts.push_back(group);
  if (dice.chance(0.3)) {
    day.hosts.push_back({.count = 1 + dice.below(3), .name = "big", .cpus = 48, .memory = 512.0 * 1073741824});
  }
  day.guests.profile = static_cast<Profile>(dice.below(3));
  // From nearly empty to so full that not all fit.
  day.guests.count = static_cast<std::size_t>(dice.between(1, 10) * static_cast<double>(hosts));
  day.guests.come_and_go = dice.chance(0.5);
  for (auto left = day.guests.count; left > 8 && day.rules.size() < 4 && dice.chance(0.6);) {
    RuleWishes rule{.kind = static_cast<RuleKind>(dice.below(5)), .hard = dice.chance(0.7)};
    rule.size = 2 + dice.below(2);
    rule.groups = 1 + dice.below(std::max<std::size_t>(1, left / 16));
    if (rule.kind == RuleKind::apart && dice.chance(0.3) && group.racks >= rule.size) rule.domain = Domain::rack;
    if (rule.kind == RuleKind::on_hosts || rule.kind == RuleKind::off_hosts) rule.hosts = 1 + dice.below(2);
    left -= std::min(left, rule.groups * rule.size);
    day.rules.push_back(rule);
  }
  const auto mode = [&] { return dice.chance(0.75) ? Mode::automatic : Mode::off; };
  day.policy.balance = mode();
  day.policy.consolidate = mode();
  day.policy.power = mode();
  day.policy.power_at_night_only = dice.chance(0.2);
  day.policy.failures = static_cast<std::uint32_t>(dice.below(3));
  day.policy.moves_per_host = 1 + static_cast<std::uint32_t>(dice.below(3));
  day.policy.effort = 5'000;
  day.rates.host_failures = dice.between(0, 0.6);
  day.rates.repair = Seconds(dice.between(600, 20'000));
  day.rates.partitions = dice.between(0, 12);
  day.rates.partition = Seconds(dice.between(10, 600));
  day.rates.partition_hosts = 1 + dice.below(3);
  day.rates.slow_storage = dice.between(0, 4);
  day.rates.manager_restarts = dice.between(0, 12);
  return day;
}

}  // namespace bridgehead::simulation::testing
