#include "scheduler/plan.h"

#include <algorithm>

#include "scheduler/balance.h"
#include "scheduler/bounds.h"
#include "scheduler/conflicts.h"
#include "scheduler/consolidation.h"
#include "scheduler/explain.h"
#include "scheduler/ordering.h"
#include "scheduler/power.h"
#include "scheduler/repair.h"

namespace bridgehead::scheduler {
namespace {

// The plan for one compiled problem. What the steps do depends on the state alone, not on how it came about; they are
// run until all of them leave it as it is, so that planning from there begins where this ended.
class Planner {
 public:
  Planner(const Problem& problem, std::uint64_t seed)
      : problem_(problem), seed_(seed), state_(problem), purposes_(problem.guests(), Purpose::balance) {}

  Plan run() {
    Plan plan;
    plan.seed = seed_;
    plan.before = state_.score();
    plan.watts_before = plan.watts_after = watts(state_);
    const double bound = least();
    while (steps()) {
    }
    auto ordered = order(state_, purposes_);
    complete_ = ordered.complete;
    if (!complete_) state_.assign(ordered.places);
    plan.after = state_.score();
    plan.evaluated = evaluated_;
    if (better(plan.after, plan.before)) {
      plan.actions = std::move(ordered.actions);
      explain(plan.actions, state_);
      plan.watts_after = watts(state_);
      plan.price = state_.price();
    } else {
      complete_ = true;
      plan.after = plan.before;
    }
    plan.conflicts = find_conflicts(state_);
    plan.bound = bound;
    const double reached = problem_.consolidates ? plan.after.hosts_on : plan.after.unevenness;
    plan.gap = bound > 0 ? (reached - bound) / bound : reached - bound;
    return plan;
  }

  bool complete() const { return complete_; }

 private:
  double least() const {
    if (problem_.consolidates) return least_hosts(state_);
    return problem_.policy.balance == Mode::off ? 0 : least_unevenness(state_);
  }

  // Whether anything has changed.
  bool steps() {
    const auto& policy = problem_.policy;
    const auto before = state_.places();
    bool switched = false;
    if (policy.repair != Mode::off) {
      step(Purpose::repair, [&] { return repair(state_, policy.most_moves); });
    }
    if (policy.power != Mode::off && wake_hosts(state_)) {
      switched = true;
      if (policy.repair != Mode::off) step(Purpose::repair, [&] { return repair(state_, policy.most_moves); });
    }
    if (policy.repair != Mode::off) {
      step(Purpose::repair, [&] { return mend_soft_rules(state_, policy.most_moves); });
    }
    if (policy.consolidate != Mode::off) {
      step(Purpose::repair, [&] { return relieve_hosts(state_, policy.most_moves); });
    }
    if (policy.urgent_only) return switched || state_.places() != before;
    if (policy.consolidate != Mode::off) {
      step(Purpose::consolidate, [&] { return consolidate(state_, policy.most_moves); });
    }
    if (policy.balance != Mode::off) {
      step(Purpose::balance, [&] { return balance(); });
    }
    if (switched || state_.places() != before) return true;
    return policy.power != Mode::off && send_to_sleep(state_);
  }

  // What the descent finds decides whether there is anything to do; the search from there on makes it better. Neither
  // may cost headroom.
  std::uint64_t balance() {
    const auto& policy = problem_.policy;
    const auto before = state_.places();
    const double soft = state_.score().soft;
    auto evaluated = descend(state_, policy.most_moves);
    if (state_.places() == before) return evaluated;
    if (state_.score().soft > soft + 1e-9) {
      state_.assign(before);
      return evaluated;
    }
    const auto descended = state_.places();
    evaluated += improve(state_, policy.most_moves, policy.effort, seed_);
    if (state_.score().soft > soft + 1e-9) state_.assign(descended);
    return evaluated;
  }

  // Runs it and notes for what purpose guests were moved by it, the first purpose of each.
  template <typename Step>
  void step(Purpose purpose, Step run) {
    const auto before = state_.places();
    evaluated_ += run();
    state_.refresh();
    for (GuestIndex guest = 0; guest < before.size(); ++guest) {
      const auto home = problem_.home[guest];
      if (before[guest] == state_.host_of(guest) || before[guest] != home) continue;
      const bool leaves = home != kNowhere && problem_.cluster.hosts[home].evacuate;
      purposes_[guest] = home == kNowhere ? Purpose::place : leaves ? Purpose::evacuate : purpose;
    }
  }

  const Problem& problem_;
  std::uint64_t seed_;
  State state_;
  std::vector<Purpose> purposes_;
  std::uint64_t evaluated_ = 0;
  bool complete_ = true;
};

// The cluster when these actions are over.
Cluster carried_out(Cluster cluster, const std::vector<Action>& actions, Timestamp now) {
  for (const auto& action : actions) {
    auto& host = cluster.hosts[action.to];
    switch (action.kind) {
      case ActionKind::place:
      case ActionKind::move: cluster.guests[action.guest].host = action.to; break;
      case ActionKind::wake:
      case ActionKind::sleep:
        host.power = action.kind == ActionKind::wake ? HostPower::on : HostPower::asleep;
        host.power_since = now;
        host.ready = action.kind == ActionKind::wake;
        break;
    }
  }
  return cluster;
}

// What follows waits for all that came before.
void append(Plan& plan, Plan&& more) {
  const auto first = static_cast<std::uint32_t>(plan.actions.size());
  for (auto& action : more.actions) {
    for (auto& after : action.after) after += first;
    for (std::uint32_t i = 0; i < first; ++i) action.after.push_back(i);
    std::sort(action.after.begin(), action.after.end());
    plan.actions.push_back(std::move(action));
  }
  const double price = plan.price;
  plan.price += more.price;
  plan.after = more.after;
  plan.after.unevenness += price;
  plan.conflicts = std::move(more.conflicts);
  plan.watts_after = more.watts_after;
  plan.evaluated += more.evaluated;
}

}  // namespace

Plan plan(const Cluster& cluster, const Policy& policy, Timestamp now, std::uint64_t seed) {
  const Problem problem(cluster, policy, now);
  Planner first(problem, seed);
  auto made = first.run();
  if (!first.complete() && policy.effort > 0) {
    // What the search found can't be reached as it is; maybe what it began with can.
    auto modest = policy;
    modest.effort = 0;
    auto other = plan(cluster, modest, now, seed);
    if (better(other.after, made.after)) return other;
  }
  // Where moves had to be given up because they wait for each other, what was reached may be a start for more.
  constexpr int kRounds = 8;
  bool complete = first.complete();
  for (int round = 0; round < kRounds && !complete; ++round) {
    const auto reached = carried_out(cluster, made.actions, now);
    const Problem rest(reached, policy, now);
    Planner next(rest, seed);
    auto more = next.run();
    complete = next.complete();
    if (more.actions.empty()) break;
    append(made, std::move(more));
  }
  return made;
}

}  // namespace bridgehead::scheduler
