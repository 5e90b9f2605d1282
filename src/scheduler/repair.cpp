#include "scheduler/repair.h"

#include <algorithm>
#include <numeric>

#include "scheduler/small_search.h"
#include "scheduler/targets.h"

namespace bridgehead::scheduler {
namespace {

double size_of(const Problem& problem, GuestIndex guest) {
  double size = 0;
  for (const double demand : {problem.demand[guest][0] / 4, problem.demand[guest][1] / (1 << 30)}) size += demand;
  return size;
}

// Who goes first: guests that others wait for, then by priority, then the largest, which find room last.
void sort_by_turn(const Problem& problem, std::vector<GuestIndex>& guests) {
  std::sort(guests.begin(), guests.end(), [&](GuestIndex a, GuestIndex b) {
    const auto key = [&](GuestIndex g) {
      return std::tuple{-problem.cluster.guests[g].priority, -size_of(problem, g), g};
    };
    return key(a) < key(b);
  });
  std::vector<std::uint8_t> listed(problem.guests());
  for (const auto guest : guests) listed[guest] = 1;
  std::vector<GuestIndex> order;
  order.reserve(guests.size());
  const auto visit = [&](const auto& self, GuestIndex guest) -> void {
    if (!listed[guest]) return;
    listed[guest] = 0;
    for (const auto first : problem.cluster.guests[guest].starts_after) self(self, first);
    order.push_back(guest);
  };
  for (const auto guest : guests) visit(visit, guest);
  guests = std::move(order);
}

class Repair {
 public:
  Repair(State& state, std::size_t most_moves)
      : state_(state), problem_(state.problem()), most_moves_(most_moves), targets_(state) {}

  std::uint64_t run() {
    constexpr int kRounds = 4;  // what one step mends may open the way for another
    bool changed = true;
    for (int round = 0; round < kRounds && changed; ++round) {
      changed = empty_hosts();
      changed = mend_rules() || changed;
      changed = unload_hosts() || changed;
    }
    place();
    return targets_.evaluated() + evaluated_;
  }

 private:
  bool may_move(GuestIndex guest) const {
    return problem_.movable[guest] && (!state_.at_home(guest) || state_.displaced() < most_moves_);
  }

  bool relocate(GuestIndex guest, HostIndex not_to = kNowhere) {
    const auto to = targets_.best(guest, not_to);
    if (to) state_.move(guest, *to);
    return to.has_value();
  }

  bool empty_hosts() {
    std::vector<GuestIndex> leaving;
    for (GuestIndex guest = 0; guest < problem_.guests(); ++guest) {
      const auto host = state_.host_of(guest);
      if (host == kNowhere || !problem_.movable[guest]) continue;
      if (problem_.cluster.hosts[host].evacuate || !problem_.compatible(guest, host)) leaving.push_back(guest);
    }
    sort_by_turn(problem_, leaving);
    bool changed = false;
    for (const auto guest : leaving) {
      if (may_move(guest)) changed = put(guest) || changed;
    }
    return changed;
  }

  // Finds room for the guest: at once, by moving another one out of the way, or together with the guests of its rules.
  bool put(GuestIndex guest) {
    if (relocate(guest) || make_room(guest)) return true;
    return put_with_its_rules(guest);
  }

  bool put_with_its_rules(GuestIndex guest) {
    if (problem_.rules_of.of(guest).empty()) return false;
    const auto guests = SmallSearch::concerned(state_, guest);
    SmallSearch search(state_, guests);
    const auto places = search.solve(most_moves_ - std::min(most_moves_, state_.displaced()));
    evaluated_ += search.evaluated();
    if (!places) return false;
    for (std::size_t i = 0; i < guests.size(); ++i) state_.move(guests[i], (*places)[i]);
    return true;
  }

  // One other guest goes to a third host.
  bool make_room(GuestIndex guest) {
    constexpr std::size_t kHosts = 64;
    std::size_t looked_at = 0;
    for (HostIndex host = 0; host < problem_.hosts() && looked_at < kHosts; ++host) {
      if (!state_.takes(host) || host == state_.host_of(guest) || !problem_.compatible(guest, host)) continue;
      if (state_.rule_change(guest, host).breaks || state_.blocked_by_move(guest, host)) continue;
      ++looked_at;
      auto others = state_.guests_on(host);
      std::sort(others.begin(), others.end(), [&](GuestIndex a, GuestIndex b) {
        return std::pair{problem_.cost[a], a} < std::pair{problem_.cost[b], b};
      });
      for (const auto other : others) {
        ++evaluated_;
        if (!may_move(other) || !state_.has_room_after(host, other, guest)) continue;
        if (state_.at_home(other) && state_.displaced() + 2 > most_moves_) continue;
        if (!relocate(other, state_.host_of(guest))) continue;
        if (state_.may_move(guest, host, 1e9)) {
          state_.move(guest, host);
          return true;
        }
        state_.move(other, host);
      }
    }
    return false;
  }

  bool mend_rules() {
    bool changed = false;
    for (std::uint32_t rule = 0; rule < problem_.cluster.rules.size(); ++rule) {
      if (!problem_.cluster.rules[rule].hard) continue;
      while (state_.rules().violation(rule) > 0 && mend_rule(rule)) changed = true;
    }
    return changed;
  }

  // One step that lowers the sum of violations; the cheapest guest first.
  bool mend_rule(std::uint32_t rule) {
    std::vector<GuestIndex> candidates = problem_.cluster.rules[rule].guests;
    if (problem_.cluster.rules[rule].kind == RuleKind::exclusive) {
      for (const auto member : problem_.cluster.rules[rule].guests) {
        if (state_.host_of(member) == kNowhere) continue;
        const auto& there = state_.guests_on(state_.host_of(member));
        candidates.insert(candidates.end(), there.begin(), there.end());
      }
    }
    std::sort(candidates.begin(), candidates.end(), [&](GuestIndex a, GuestIndex b) {
      return std::tuple{problem_.cost[a], problem_.cluster.guests[a].priority, a} <
             std::tuple{problem_.cost[b], problem_.cluster.guests[b].priority, b};
    });
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    for (const auto guest : candidates) {
      if (state_.host_of(guest) == kNowhere || !may_move(guest)) continue;
      ++evaluated_;
      if (const auto to = targets_.mending(guest)) {
        state_.move(guest, *to);
        return true;
      }
    }
    const auto first = std::find_if(candidates.begin(), candidates.end(), [&](GuestIndex guest) {
      return state_.host_of(guest) != kNowhere && may_move(guest);
    });
    if (first == candidates.end()) return false;
    const double before = state_.rules().total().hard;
    return put_with_its_rules(*first) && state_.rules().total().hard < before;
  }

  bool unload_hosts() {
    bool changed = false;
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      while (state_.overload(host) > 0 && unload(host)) changed = true;
    }
    return changed;
  }

  // Moves the cheapest guest that alone is enough, or else the one that helps most.
  bool unload(HostIndex host) {
    std::vector<std::tuple<double, double, GuestIndex>> order;
    const double before = state_.overload(host);
    for (const auto guest : state_.guests_on(host)) {
      if (!may_move(guest)) continue;
      double rest = 0;
      for (std::size_t r = 0; r < kResources; ++r) {
        const double over = (state_.load(host)[r] - problem_.demand[guest][r]) * problem_.part[host][r] - 1;
        if (over > 1e-9) rest += over;
      }
      if (rest < before) order.emplace_back(rest, problem_.cost[guest] + (problem_.at_leisure[guest] ? 0 : 1e6), guest);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [rest, cost, guest] : order) {
      if (relocate(guest)) return true;
    }
    return false;
  }

  void place() {
    std::vector<GuestIndex> waiting;
    for (GuestIndex guest = 0; guest < problem_.guests(); ++guest) {
      if (state_.host_of(guest) == kNowhere) waiting.push_back(guest);
    }
    sort_by_turn(problem_, waiting);
    for (const auto guest : waiting) {
      if (state_.host_of(guest) == kNowhere) put(guest);
    }
  }

  State& state_;
  const Problem& problem_;
  std::size_t most_moves_;
  Targets targets_;
  std::uint64_t evaluated_ = 0;
};

}  // namespace

std::uint64_t repair(State& state, std::size_t most_moves) { return Repair(state, most_moves).run(); }

namespace {

class Relief {
 public:
  Relief(State& state, std::size_t most_moves) : state_(state), problem_(state.problem()), most_moves_(most_moves) {}

  std::uint64_t run() {
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (state_.crowding(host) <= 0) continue;
      while (above_ceiling(host) > 0 && relieve(host)) {
      }
    }
    return evaluated_;
  }

 private:
  double above(const Amounts& load, HostIndex host) const {
    double over = 0;
    for (std::size_t r = 0; r < kResources; ++r) {
      if (!is_promised(r)) over += std::max(0.0, load[r] * problem_.part[host][r] - problem_.policy.ceiling);
    }
    return over;
  }
  double above_ceiling(HostIndex host) const { return above(state_.load(host), host); }

  // The guest that wins most for what its move costs.
  bool relieve(HostIndex host) {
    const double before = above_ceiling(host);
    std::vector<std::pair<double, GuestIndex>> order;
    for (const auto guest : state_.guests_on(host)) {
      if (!problem_.at_leisure[guest] || (state_.at_home(guest) && state_.displaced() >= most_moves_)) continue;
      auto rest = state_.load(host);
      for (std::size_t r = 0; r < kResources; ++r) rest[r] -= problem_.demand[guest][r];
      const double won = before - above(rest, host);
      if (won > 1e-9) order.emplace_back(-won / std::max(problem_.cost[guest], 1e-9), guest);
    }
    std::sort(order.begin(), order.end());
    return std::any_of(order.begin(), order.end(), [&](const auto& entry) { return move(entry.second); });
  }

  bool move(GuestIndex guest) {
    HostIndex best = kNowhere;
    std::pair<bool, double> least{};
    for (HostIndex to = 0; to < problem_.hosts(); ++to) {
      ++evaluated_;
      if (to == state_.host_of(guest) || !state_.may_move(guest, to)) continue;
      double use = 0;
      for (const auto r : problem_.resources) use += state_.unevenness().use(to, r);
      // Where hosts are switched, one that is on without guests was woken for this.
      const std::pair key{!problem_.switches && !state_.in_use(to), use};
      if (best != kNowhere && key >= least) continue;
      least = key;
      best = to;
    }
    if (best == kNowhere) return false;
    state_.move(guest, best);
    return true;
  }

  State& state_;
  const Problem& problem_;
  std::size_t most_moves_;
  std::uint64_t evaluated_ = 0;
};

}  // namespace

std::uint64_t relieve_hosts(State& state, std::size_t most_moves) { return Relief(state, most_moves).run(); }

std::uint64_t mend_soft_rules(State& state, std::size_t most_moves) {
  const auto& problem = state.problem();
  std::uint64_t evaluated = 0;
  if (state.rules().total().soft <= 0) return 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (GuestIndex guest = 0; guest < problem.guests(); ++guest) {
      const auto host = state.host_of(guest);
      if (host == kNowhere || !problem.movable[guest] || !state.rules().concerns(guest)) continue;
      if (state.at_home(guest) && state.displaced() >= most_moves) continue;
      // Leaving must already win more than the move costs, or no host is worth a look.
      if (state.rules().change(guest, host, kNowhere).soft > -problem.cost[guest]) continue;
      HostIndex best = kNowhere;
      double best_soft = -problem.cost[guest] - 1e-9;
      for (HostIndex to = 0; to < problem.hosts(); ++to) {
        ++evaluated;
        if (to == host || !is_target(state, to) || !state.may_move(guest, to, best_soft)) continue;
        best_soft = state.rule_change(guest, to).soft - 1e-9;
        best = to;
      }
      if (best == kNowhere) continue;
      state.move(guest, best);
      changed = true;
    }
  }
  return evaluated;
}

}  // namespace bridgehead::scheduler
