// The proof: hundreds of random days with the product's planner, and no invariant is ever broken. A failure prints its
// seed and what runs it again; BRIDGEHEAD_SIMULATION_SEED runs that one alone, BRIDGEHEAD_SIMULATION_SEEDS that many.
#include <gtest/gtest.h>

#include <cstdlib>

#include "simulation/simulator.h"
#include "simulation/testing/random_day.h"

namespace bridgehead::simulation {
namespace {

using testing::random_day;

std::string described(const Outcome& outcome) {
  std::string text;
  for (const auto& violation : outcome.violations) {
    text += fmt::format("  {} {}: {}\n", to_text(Seconds(violation.at)), violation.invariant, violation.what);
  }
  return text;
}

TEST(RandomDays, NoInvariantIsEverBroken) {
  std::uint64_t first = 1, last = 300;
  if (const char* seeds = std::getenv("BRIDGEHEAD_SIMULATION_SEEDS")) last = std::strtoull(seeds, nullptr, 10);
  const char* seed = std::getenv("BRIDGEHEAD_SIMULATION_SEED");
  if (seed != nullptr) first = last = std::strtoull(seed, nullptr, 10);
  std::uint64_t moves = 0, sleeps = 0, starts = 0, faults = 0, checks = 0;
  for (auto i = first; i <= last; ++i) {
    const auto day = random_day(i);
    RunOptions options;
    if (seed != nullptr) options.log = [](std::string_view line) { fmt::print("{}", line); };
    const auto outcome = run(day, options);
    ASSERT_TRUE(outcome) << outcome.error().describe();
    ASSERT_TRUE(outcome->violations.empty())
        << "seed " << i << " broke an invariant:\n"
        << described(*outcome) << "Run it again with its log:\n  BRIDGEHEAD_SIMULATION_SEED=" << i
        << " build/release/bin/simulation_days_test";
    moves += outcome->counts.moves;
    sleeps += outcome->counts.sleeps;
    starts += outcome->counts.starts;
    faults += outcome->failures + outcome->partitions + outcome->counts.restarts;
    checks += outcome->checks;
  }
  fmt::print("{} days: {} faults, {} starts, {} moves, {} hosts put to sleep, {} checks\n", last - first + 1, faults,
             starts, moves, sleeps, checks);
  if (seed == nullptr && last >= 50) {  // a proof of nothing if nothing happens
    EXPECT_GT(moves, 100U);
    EXPECT_GT(starts, 1000U);
    EXPECT_GT(faults, 100U);
  }
}

// What the office week is for.
TEST(Week, SavesEnergyWithFewMovesAndMeetsDemand) {
  auto scenario = load_scenario(BRIDGEHEAD_SCENARIOS "/week.toml");
  ASSERT_TRUE(scenario) << scenario.error().describe();
  for (const std::uint64_t seed : {1, 5}) {  // 5: guests that want more than those of other seeds
    SCOPED_TRACE(seed);
    scenario->seed = seed;
    const auto outcome = run(*scenario, {});
    ASSERT_TRUE(outcome);
    EXPECT_TRUE(outcome->violations.empty()) << described(*outcome);
    fmt::print("  {:.1f} % saved, {:.2f} moves per guest and day, {} at most, {:.0f} s unmet in a day at most\n",
               outcome->saved() * 100, outcome->moves_per_guest_day(), outcome->most_moves, outcome->worst_unmet);
    EXPECT_GE(outcome->saved(), 0.4);
    EXPECT_LE(outcome->most_moves, 2) << "of any guest in any day";
    EXPECT_LE(outcome->worst_unmet, 30) << "of the guest that fares worst, in its worst day";
  }
}

// Planted faults: what a simulator is good for is seen by what it finds.
struct Mutation {
  std::string name;
  std::string invariant;  // that must find it
  std::function<Hooks()> hooks;
  std::function<void(Scenario&)> scenario = [](Scenario&) {};
};

void everything_on(Scenario& day) {
  day.policy.balance = day.policy.consolidate = day.policy.power = scheduler::Mode::automatic;
}

void with_rule(Scenario& day, scheduler::RuleKind kind) {
  day.rules = {{.kind = kind, .groups = 1, .size = 2}};
  day.guests.count = std::max<std::size_t>(day.guests.count, 20);
  day.guests.come_and_go = false;
}

// A busy day without rules, on which much is moved.
void busy(Scenario& day) {
  everything_on(day);
  day.rules.clear();
  day.guests = {.profile = Profile::bitbrains, .count = day.hosts.front().count * 5};
  day.rates = {};
  day.rates.host_failures = 1;
  day.rates.repair = Seconds(3600);
}

std::vector<Mutation> mutations() {
  using scheduler::Action;
  using scheduler::ActionKind;
  using scheduler::Cluster;
  using scheduler::HostPower;
  using scheduler::Plan;
  using scheduler::RuleKind;
  std::vector<Mutation> list;
  list.push_back({"the capacity check is dropped", "capacity",
                  [] {
                    return Hooks{.snapshot = [](Cluster& cluster) {
                      for (auto& host : cluster.hosts) {
                        for (auto& limit : host.limits) limit *= 20;
                      }
                    }};
                  },
                  busy});
  list.push_back({"moves under way are forgotten, and their guests' room at the target", "capacity",
                  [] {
                    return Hooks{.snapshot = [](Cluster& cluster) {
                      for (const auto& move : cluster.moves) cluster.guests[move.guest].may_move = false;
                      cluster.moves.clear();
                    }};
                  },
                  [](Scenario& day) {
                    busy(day);
                    day.guests.count = day.hosts.front().count * 8;
                    day.policy.link = 2e6;  // moves take hours
                  }});
  list.push_back({"a guest that is leaving an exclusive host counts as gone", "rules",
                  [] {
                    return Hooks{.snapshot = [](Cluster& cluster) {
                      for (const auto& move : cluster.moves) {
                        cluster.guests[move.guest].host = move.to;
                        cluster.guests[move.guest].may_move = false;
                      }
                      cluster.moves.clear();
                    }};
                  },
                  [](Scenario& day) {
                    busy(day);
                    with_rule(day, RuleKind::exclusive);
                    day.rules.front().groups = std::max<std::size_t>(1, day.hosts.front().count / 4);
                    day.policy.link = 2e6;  // moves take hours
                  }});
  list.push_back({"a silent host's leases count as over at once", "one_writer",
                  [] { return Hooks{.patience = [](double) { return 1.0; }}; },
                  [](Scenario& day) {
                    busy(day);
                    day.rates.partitions = 10;
                  }});
  list.push_back({"a host with guests is put to sleep", "power",
                  [] {
                    return Hooks{.orders = [](std::vector<Order>& orders) {
                      if (orders[0].kind == Order::Kind::move) {
                        orders.push_back({.kind = Order::Kind::sleep, .to = orders[0].from});
                      }
                    }};
                  },
                  busy});
  list.push_back({"a rule is ignored", "rules",
                  [] { return Hooks{.snapshot = [](Cluster& cluster) { cluster.rules.clear(); }}; },
                  [](Scenario& day) {
                    busy(day);
                    with_rule(day, RuleKind::apart);
                    day.rules.front().groups = day.guests.count / 2;
                  }});
  list.push_back({"a guest is pinned, and the pin ignored", "rules",
                  [] { return Hooks{.snapshot = [](Cluster& cluster) { cluster.rules.clear(); }}; },
                  [](Scenario& day) {
                    busy(day);
                    with_rule(day, RuleKind::on_hosts);
                    day.rules.front().size = 5;
                  }});
  list.push_back({"guests that are to be together are parted", "rules",
                  [] {
                    return Hooks{.plan = [](Plan& plan, const Cluster& cluster) {
                      for (const auto& guest : cluster.rules.front().guests) {
                        const auto from = cluster.guests[guest].host;
                        if (from == kNone || !cluster.moves.empty()) return;
                        plan.actions = {Action{.guest = guest, .from = from, .to = from == 0 ? 1U : 0U}};
                        return;
                      }
                    }};
                  },
                  [](Scenario& day) {
                    busy(day);
                    with_rule(day, RuleKind::together);
                  }});
  list.push_back({"a guest is started twice", "one_writer",
                  [] {
                    return Hooks{.orders = [](std::vector<Order>& orders) {
                      if (orders[0].kind != Order::Kind::start) return;
                      auto again = orders[0];
                      again.to = again.to == 0 ? 1 : again.to - 1;
                      ++again.token;
                      orders.push_back(again);
                    }};
                  },
                  busy});
  list.push_back({"a lease's token is used again", "lease",
                  [] {
                    return Hooks{.orders = [](std::vector<Order>& orders) {
                      if (orders[0].guest != kNone) orders[0].token = 1;
                    }};
                  },
                  busy});
  list.push_back({"the limit of moves at once is ignored", "moves", [] { return Hooks{.more_moves = 100}; },
                  [](Scenario& day) {
                    busy(day);
                    day.policy.link = 2e7;
                  }});
  list.push_back({"a guest goes to a host that sleeps or has failed", "power",
                  [] {
                    return Hooks{.orders = [](std::vector<Order>& orders) {
                      if (orders[0].kind == Order::Kind::start) orders[0].to = 0;
                    }};
                  },
                  [](Scenario& day) {
                    busy(day);
                    day.faults = {{.at = 3600, .length = 80'000, .host = "host001"}};
                  }});
  list.push_back({"guests of a failed host are forgotten", "nothing_lost",
                  [] {
                    return Hooks{.snapshot = [](Cluster& cluster) {
                      std::erase_if(cluster.guests,
                                    [](const auto& guest) { return guest.host == scheduler::kNowhere; });
                      cluster.moves.clear();
                      cluster.rules.clear();
                    }};
                  },
                  busy});
  list.push_back({"a failed host is taken for ready", "power",
                  [] {
                    return Hooks{.orders = [](std::vector<Order>& orders) {
                      if (orders[0].kind == Order::Kind::move) orders[0].to = 0;
                    }};
                  },
                  [](Scenario& day) {
                    busy(day);
                    day.faults = {{.at = 600, .length = 85'000, .host = "host001"}};
                  }});
  return list;
}

TEST(Mutations, EachPlantedFaultIsFound) {
  for (const auto& mutation : mutations()) {
    std::optional<std::uint64_t> found;
    std::string others;
    for (std::uint64_t seed = 1; seed <= 20 && !found; ++seed) {
      auto day = random_day(seed);
      mutation.scenario(day);
      RunOptions options;
      options.hooks = mutation.hooks();
      const auto outcome = run(day, options);
      ASSERT_TRUE(outcome) << outcome.error().describe();
      for (const auto& violation : outcome->violations) {
        if (violation.invariant == mutation.invariant) found = seed;
      }
      if (!found) others += described(*outcome);
      // Without it, the same day is well.
      options.hooks = {};
      const auto well = run(day, options);
      ASSERT_TRUE(well->violations.empty()) << mutation.name << ", seed " << seed << ", not planted:\n"
                                            << described(*well);
    }
    EXPECT_TRUE(found) << mutation.name << " wasn't found by " << mutation.invariant << ", but:\n" << others;
    if (found) fmt::print("  {:<70} found by {} with seed {}\n", mutation.name, mutation.invariant, *found);
  }
}

}  // namespace
}  // namespace bridgehead::simulation
