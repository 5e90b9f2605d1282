#include "scheduler/balance.h"

#include <algorithm>
#include <queue>

#include "scheduler/annealing.h"
#include "scheduler/targets.h"

namespace bridgehead::scheduler {
namespace {

constexpr std::size_t kTargets = 40;  // a host looks at
constexpr std::size_t kLowPart = 8;   // one host in so many counts as little used
// A gain must be more than the price by this, so that rounding never opens what was closed.
constexpr double kLeastGain = 1e-10;

// How much a move lowers the deviation, seen along its tangent. The root is concave, so the true gain is never less:
// what this finds worth while is. It takes a few nanoseconds, and with many hosts it is all but exact.
class Tangent {
 public:
  explicit Tangent(const State& state) : state_(state), problem_(state.problem()) {}

  // After each change of the state.
  void touch() {
    const auto& unevenness = state_.unevenness();
    for (const auto r : problem_.resources) {
      const double deviation = std::max(unevenness.deviation(r), 1e-9);
      slope_[r] = problem_.policy.weights[r] / (2 * deviation * static_cast<double>(unevenness.counted()));
      mean_[r] = unevenness.mean(r);
    }
  }

  double leaving(GuestIndex guest, HostIndex host) const {
    if (!state_.unevenness().counts(host)) return 0;
    double gain = 0;
    for (const auto r : problem_.resources) {
      const double part = problem_.demand[guest][r] * problem_.part[host][r];
      gain += slope_[r] * part * (2 * (state_.unevenness().use(host, r) - mean_[r]) - part);
    }
    return gain;
  }

  double arriving(GuestIndex guest, HostIndex host) const {
    double loss = 0;
    for (const auto r : problem_.resources) {
      const double part = problem_.demand[guest][r] * problem_.part[host][r];
      loss += slope_[r] * part * (2 * (state_.unevenness().use(host, r) - mean_[r]) + part);
    }
    return loss;
  }

  // Of a host that is, in each resource, as little used as any of these and as large or small as suits best.
  void set_targets(const std::vector<HostIndex>& targets) {
    lowest_use_.fill(1e300);
    smallest_part_.fill(1e300);
    largest_part_.fill(0);
    for (const auto host : targets) {
      for (const auto r : problem_.resources) {
        lowest_use_[r] = std::min(lowest_use_[r], state_.unevenness().use(host, r));
        smallest_part_[r] = std::min(smallest_part_[r], problem_.part[host][r]);
        largest_part_[r] = std::max(largest_part_[r], problem_.part[host][r]);
      }
    }
  }
  double arriving_at_best(GuestIndex guest) const {
    double loss = 0;
    for (const auto r : problem_.resources) {
      const double below = lowest_use_[r] - mean_[r];
      const double part = problem_.demand[guest][r] * (below < 0 ? largest_part_[r] : smallest_part_[r]);
      loss += slope_[r] * part * (2 * below + problem_.demand[guest][r] * smallest_part_[r]);
    }
    return loss;
  }

 private:
  const State& state_;
  const Problem& problem_;
  Amounts slope_{};
  Amounts mean_{};
  Amounts lowest_use_{};
  Amounts smallest_part_{};
  Amounts largest_part_{};
};

class Descent {
 public:
  Descent(State& state, std::size_t most_moves)
      : state_(state), problem_(state.problem()), most_moves_(most_moves), tangent_(state) {
    exact_ = problem_.policy.evenness == Evenness::peak || problem_.hosts() <= kTargets;
  }

  std::uint64_t run() {
    while (pass()) {
    }
    return evaluated_;
  }

 private:
  struct Change {
    GuestIndex guest = kNowhere;
    HostIndex to = kNowhere;
    double gain = kLeastGain;  // beyond the price
  };

  double use(HostIndex host) const {
    double sum = 0;
    for (const auto r : problem_.resources) sum += problem_.policy.weights[r] * state_.unevenness().use(host, r);
    return sum;
  }

  // All hosts once, the most used first, and again each host that gave a guest away.
  bool pass() {
    state_.refresh();
    tangent_.touch();
    choose_targets();
    std::priority_queue<std::pair<double, HostIndex>> hosts;
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (state_.in_use(host)) hosts.emplace(use(host), host);
    }
    bool changed = false;
    std::size_t since = 0;
    while (!hosts.empty()) {
      const auto host = hosts.top().second;
      hosts.pop();
      const auto change = best_of(host);
      if (change.guest == kNowhere) continue;
      state_.move(change.guest, change.to);
      tangent_.touch();
      changed = true;
      hosts.emplace(use(host), host);
      if (++since < targets_.size() * kTargets / 4) continue;
      since = 0;
      choose_targets();
    }
    return changed;
  }

  // Each host looks at some of the least used hosts only, and not all at the same ones.
  void choose_targets() {
    const auto low = least_used(state_, std::max(kTargets, problem_.hosts() / kLowPart));
    const auto groups = (low.size() + kTargets - 1) / kTargets;
    targets_.assign(std::max<std::size_t>(groups, 1), {});
    for (std::size_t i = 0; i < low.size(); ++i) targets_[i % groups].push_back(low[i]);
    tangent_.set_targets(low);
  }
  const std::vector<HostIndex>& targets_of(HostIndex host) const { return targets_[host % targets_.size()]; }

  bool may_leave(GuestIndex guest) const {
    if (!problem_.at_leisure[guest]) return false;
    return !state_.at_home(guest) || state_.displaced() < most_moves_;
  }

  Change best_of(HostIndex host) {
    Change best;
    const auto& guests = state_.guests_on(host);
    if (problem_.consolidates && guests.size() == 1) return best;  // emptying hosts isn't balance's part
    if (exact_) {
      for (const auto guest : guests) {
        if (may_leave(guest)) look_exactly(host, guest, best);
      }
      return best;
    }
    // Who could win most comes first, and those who can't win more than was found aren't looked at.
    hopes_.clear();
    for (const auto guest : guests) {
      ++evaluated_;
      const double hope = tangent_.leaving(guest, host) - tangent_.arriving_at_best(guest) - problem_.price[guest];
      if (hope > kLeastGain && may_leave(guest)) hopes_.emplace_back(hope, guest);
    }
    std::sort(hopes_.rbegin(), hopes_.rend());
    for (const auto& [hope, guest] : hopes_) {
      if (hope <= best.gain) break;
      look_along_tangent(host, guest, best);
    }
    return best;
  }

  void look_exactly(HostIndex host, GuestIndex guest, Change& best) {
    const double now = state_.unevenness().value() - problem_.price[guest];
    for (const auto to : targets_of(host)) {
      if (to == host) continue;
      ++evaluated_;
      const double gain = now - state_.unevenness_after(guest, to);
      if (gain > best.gain && state_.may_move(guest, to)) best = {guest, to, gain};
    }
  }

  void look_along_tangent(HostIndex host, GuestIndex guest, Change& best) {
    const double now = tangent_.leaving(guest, host) - problem_.price[guest];
    for (const auto to : targets_of(host)) {
      ++evaluated_;
      const double gain = now - tangent_.arriving(guest, to);
      if (gain > best.gain && to != host && state_.may_move(guest, to)) best = {guest, to, gain};
    }
  }

  State& state_;
  const Problem& problem_;
  std::size_t most_moves_;
  Tangent tangent_;
  bool exact_ = false;
  std::vector<std::vector<HostIndex>> targets_;
  std::vector<std::pair<double, GuestIndex>> hopes_;
  std::uint64_t evaluated_ = 0;
};

}  // namespace

std::uint64_t descend(State& state, std::size_t most_moves) { return Descent(state, most_moves).run(); }

std::uint64_t improve(State& state, std::size_t most_moves, std::uint64_t effort, std::uint64_t seed) {
  constexpr std::uint64_t kFirstStage = 1 << 14;
  const auto first = std::max<std::uint64_t>(kFirstStage, 64 * state.problem().guests());  // less finds nothing
  // Each stage begins at the best so far and takes twice as long as the one before. What a stage does depends on those
  // before it only, so more effort adds stages and changes none.
  std::uint64_t evaluated = 0;
  auto best = state.places();
  double best_value = state.unevenness().value() + state.price();
  for (auto tries = first; evaluated + tries <= effort; tries *= 2) {
    anneal(state, most_moves, tries, seed + tries);
    evaluated += tries;
    descend(state, most_moves);
    const double value = state.unevenness().value() + state.price();
    if (value < best_value - kLeastGain) {
      best_value = value;
      best = state.places();
    } else {
      state.assign(best);
    }
  }
  return evaluated;
}

}  // namespace bridgehead::scheduler
