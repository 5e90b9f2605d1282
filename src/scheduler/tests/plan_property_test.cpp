// What holds for every plan, on random clusters, policies and seeds. A failure prints the seed that it was made from.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <random>

#include "scheduler/plan.h"
#include "scheduler/testing/clusters.h"
#include "scheduler/testing/random_cluster.h"

namespace bridgehead::scheduler {
namespace {

using testing::apply;
using testing::random_case;

// Carries the plan out with any actions at once that `after` allows, and looks at all that must hold meanwhile.
class Execution {
 public:
  Execution(const Cluster& cluster, const Plan& plan, std::uint64_t seed)
      : cluster_(cluster), plan_(plan), engine_(seed), holds_(cluster.hosts.size()), done_(plan.actions.size()) {
    for (GuestIndex g = 0; g < cluster.guests.size(); ++g) {
      if (cluster.guests[g].host != kNowhere) holds_[cluster.guests[g].host].push_back(g);
    }
    for (const auto& move : cluster.moves) holds_[move.to].push_back(move.guest);
    first_ = holds_;
  }

  void run() {
    std::vector<std::uint32_t> waiting(plan_.actions.size());
    for (std::uint32_t i = 0; i < waiting.size(); ++i) waiting[i] = i;
    std::vector<std::uint32_t> running;
    while (!waiting.empty() || !running.empty()) {
      std::vector<std::uint32_t> ready;
      for (const auto i : waiting) {
        const auto& after = plan_.actions[i].after;
        if (std::all_of(after.begin(), after.end(), [&](std::uint32_t j) { return done_[j]; })) ready.push_back(i);
      }
      RC_ASSERT(!ready.empty() || !running.empty());
      if (!ready.empty() && (running.empty() || engine_() % 2 == 0)) {
        const auto i = ready[engine_() % ready.size()];
        begin(plan_.actions[i]);
        std::erase(waiting, i);
        running.push_back(i);
      } else {
        const auto i = running[engine_() % running.size()];
        end(plan_.actions[i]);
        done_[i] = true;
        std::erase(running, i);
      }
    }
  }

 private:
  void begin(const Action& action) {
    if (action.kind == ActionKind::sleep) RC_ASSERT(holds_[action.to].empty());
    if (action.kind == ActionKind::wake || action.kind == ActionKind::sleep) return;
    const auto& guest = cluster_.guests[action.guest];
    const auto& host = cluster_.hosts[action.to];
    RC_ASSERT(action.kind == ActionKind::place || guest.may_move);
    RC_ASSERT((host.ready || host.power == HostPower::asleep) && host.open && !host.evacuate);
    if (action.from != kNowhere) {
      const auto& there = holds_[action.from];
      RC_ASSERT(std::find(there.begin(), there.end(), action.guest) != there.end());
    }
    holds_[action.to].push_back(action.guest);
    for (std::size_t r = 0; r < kResources; ++r) {
      if (guest.demand[r] <= 0 || (r > 1 && host.limits[r] <= 0)) continue;
      double load = 0;
      for (const auto g : holds_[action.to]) load += cluster_.guests[g].demand[r];
      RC_ASSERT(load <= host.limits[r] * (1 + 1e-6));
    }
    for (const auto& rule : cluster_.rules) {
      const bool concerns =
          rule.kind == RuleKind::exclusive || std::count(rule.guests.begin(), rule.guests.end(), action.guest) > 0;
      if (rule.hard && concerns) look_at(rule, action.to);
    }
  }

  void look_at(const Rule& rule, HostIndex to) const {
    const bool listed = std::count(rule.hosts.begin(), rule.hosts.end(), to) > 0;
    if (rule.kind == RuleKind::on_hosts) RC_ASSERT(listed);
    if (rule.kind == RuleKind::off_hosts) RC_ASSERT(!listed);
    // One that is broken already may be so elsewhere.
    if (rule.kind == RuleKind::apart && !broken_at_first(rule)) RC_ASSERT(members(rule, to, holds_) <= 1);
    if (rule.kind == RuleKind::exclusive) {
      const bool was = std::any_of(first_.begin(), first_.end(), [&](const auto& there) { return mixed(rule, there); });
      if (!was) RC_ASSERT(!mixed(rule, holds_[to]));
    }
  }

  // Guests of an exclusive rule and others are there, whether they come, stay or leave.
  static bool mixed(const Rule& rule, const std::vector<GuestIndex>& there) {
    const auto members = std::count_if(there.begin(), there.end(), [&](GuestIndex g) {
      return std::count(rule.guests.begin(), rule.guests.end(), g) > 0;
    });
    return members > 0 && members < static_cast<std::ptrdiff_t>(there.size());
  }

  bool broken_at_first(const Rule& rule) const {
    for (HostIndex h = 0; h < first_.size(); ++h) {
      if (members(rule, h, first_) > 1) return true;
    }
    return false;
  }

  // Guests of the rule in the host's domain.
  long members(const Rule& rule, HostIndex to, const std::vector<std::vector<GuestIndex>>& holds) const {
    std::vector<GuestIndex> seen;
    for (HostIndex h = 0; h < holds.size(); ++h) {
      const auto& a = cluster_.hosts[h];
      const auto& b = cluster_.hosts[to];
      const bool same = h == to || (rule.domain == Domain::rack && !a.rack.empty() && a.rack == b.rack);
      if (!same) continue;
      for (const auto g : holds[h]) {
        if (std::count(rule.guests.begin(), rule.guests.end(), g) > 0) seen.push_back(g);
      }
    }
    std::sort(seen.begin(), seen.end());
    return std::unique(seen.begin(), seen.end()) - seen.begin();
  }

  void end(const Action& action) {
    if (action.from != kNowhere) std::erase(holds_[action.from], action.guest);
  }

  const Cluster& cluster_;
  const Plan& plan_;
  std::mt19937_64 engine_;
  std::vector<std::vector<GuestIndex>> holds_;
  std::vector<std::vector<GuestIndex>> first_;
  std::vector<bool> done_;
};

bool lower(const Score& a, const Score& b) {
  return std::tie(a.unplaced, a.violations, a.soft, a.hosts_on, a.unevenness) <
         std::tie(b.unplaced, b.violations, b.soft, b.hosts_on, b.unevenness);
}

TEST(PlanProperty, LeadsToAFixedPointAndLowersTheScore) {
  EXPECT_TRUE(rc::check("fixed point", [](std::uint64_t seed) {
    const auto [cluster, policy, now] = random_case(seed);
    const auto made = plan(cluster, policy, now, seed);
    if (made.actions.empty()) return;
    RC_ASSERT(lower(made.after, made.before));
    const auto again = plan(apply(cluster, made, now), policy, now, seed + 1);
    for (const auto& action : again.actions) RC_LOG() << action.reason << "\n";
    RC_ASSERT(again.actions.empty());
    RC_ASSERT(again.before.unplaced == made.after.unplaced);
    RC_ASSERT(std::abs(again.before.violations - made.after.violations) < 1e-6);
  }));
}

TEST(PlanProperty, NothingIsViolatedOnTheWay) {
  EXPECT_TRUE(rc::check("execution", [](std::uint64_t seed) {
    const auto [cluster, policy, now] = random_case(seed);
    const auto made = plan(cluster, policy, now, seed);
    Execution(cluster, made, seed).run();
  }));
}

TEST(PlanProperty, FixedGuestsStay) {
  EXPECT_TRUE(rc::check("fixed guests", [](std::uint64_t seed) {
    const auto [cluster, policy, now] = random_case(seed);
    for (const auto& action : plan(cluster, policy, now, seed).actions) {
      if (action.kind != ActionKind::move) continue;
      RC_ASSERT(cluster.guests[action.guest].may_move);
      RC_ASSERT(std::none_of(cluster.moves.begin(), cluster.moves.end(),
                             [&](const MoveUnderWay& move) { return move.guest == action.guest; }));
    }
  }));
}

TEST(PlanProperty, TheSameInputGivesTheSamePlan) {
  EXPECT_TRUE(rc::check("deterministic", [](std::uint64_t seed) {
    const auto [cluster, policy, now] = random_case(seed);
    const auto a = plan(cluster, policy, now, seed);
    const auto b = plan(cluster, policy, now, seed);
    RC_ASSERT(a.actions.size() == b.actions.size());
    for (std::size_t i = 0; i < a.actions.size(); ++i) {
      RC_ASSERT(a.actions[i].reason == b.actions[i].reason);
      RC_ASSERT(a.actions[i].after == b.actions[i].after);
    }
  }));
}

TEST(PlanProperty, MoreEffortIsNeverWorseAndNothingIsBelowTheBound) {
  EXPECT_TRUE(rc::check("effort", [](std::uint64_t seed) {
    auto [cluster, policy, now] = random_case(seed);
    policy.consolidate = policy.power = policy.repair = Mode::off;
    policy.balance = Mode::propose;
    policy.effort = 0;
    const auto little = plan(cluster, policy, now, seed);
    policy.effort = 60'000;
    const auto more = plan(cluster, policy, now, seed);
    RC_ASSERT(!lower(little.after, more.after) || more.after.unevenness - little.after.unevenness < 1e-6);
    RC_ASSERT(more.after.unevenness >= more.bound - 1e-9);
    RC_ASSERT(little.after.unevenness >= little.bound - 1e-9);
  }));
}

TEST(PlanProperty, ConflictsAreMinimal) {
  EXPECT_TRUE(rc::check("minimal", [](std::uint64_t seed) {
    auto [cluster, policy, now] = random_case(seed);
    policy.consolidate = policy.power = policy.balance = Mode::off;
    const auto made = plan(cluster, policy, now, seed);
    for (const auto& conflict : made.conflicts) {
      RC_ASSERT(!conflict.reason.empty());
      RC_ASSERT(std::is_sorted(conflict.rules.begin(), conflict.rules.end()));
    }
  }));
}

}  // namespace
}  // namespace bridgehead::scheduler
