#include "scheduler/annealing.h"

#include <algorithm>
#include <cmath>

#include "scheduler/targets.h"

namespace bridgehead::scheduler {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(((next() >> 32) * count) >> 32); }
  double part() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  template <typename T>
  const T& one_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

 private:
  std::uint64_t state_;
};

// A set of guests to pick from.
class GuestSet {
 public:
  explicit GuestSet(std::size_t guests) : position_(guests, kNowhere) {}
  const std::vector<GuestIndex>& list() const { return list_; }
  void set(GuestIndex guest, bool in) {
    if (in == (position_[guest] != kNowhere)) return;
    if (in) {
      position_[guest] = static_cast<std::uint32_t>(list_.size());
      list_.push_back(guest);
      return;
    }
    list_[position_[guest]] = list_.back();
    position_[list_.back()] = position_[guest];
    list_.pop_back();
    position_[guest] = kNowhere;
  }
  void clear() {
    for (const auto guest : list_) position_[guest] = kNowhere;
    list_.clear();
  }

 private:
  std::vector<GuestIndex> list_;
  std::vector<std::uint32_t> position_;
};

class Annealing {
 public:
  Annealing(State& state, std::size_t most_moves, std::uint64_t seed)
      : state_(state),
        problem_(state.problem()),
        most_moves_(most_moves),
        dice_(seed),
        displaced_(problem_.guests()),
        changed_(problem_.guests()) {
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (is_target(state, host)) targets_.push_back(host);
    }
    for (GuestIndex guest = 0; guest < problem_.guests(); ++guest) {
      if (!free(guest)) continue;
      guests_.push_back(guest);
      displaced_.set(guest, problem_.home[guest] != kNowhere && !state.at_home(guest));
    }
  }

  void run(std::uint64_t tries) {
    if (targets_.size() < 2 || guests_.empty()) return;
    best_ = state_.places();
    best_value_ = value();
    temperature_ = warmth();
    const double cooling = std::pow(kColdest, 1 / static_cast<double>(tries));
    for (std::uint64_t i = 0; i < tries; ++i, temperature_ *= cooling) {
      step();
      if (value() >= best_value_ - 1e-12) continue;
      best_value_ = value();
      for (const auto guest : changed_.list()) best_[guest] = state_.host_of(guest);
      changed_.clear();
    }
    state_.assign(best_);
  }

 private:
  static constexpr double kHottest = 0.05;  // part of the mean change of a step tried at first
  static constexpr double kColdest = 1e-3;  // part of the hottest

  struct Change {
    GuestIndex a = kNowhere;
    GuestIndex b = kNowhere;  // of an exchange
    HostIndex to = kNowhere;  // of a move
    double value = 0;         // what it changes
  };

  double value() const { return state_.unevenness().value() + state_.price(); }
  bool free(GuestIndex guest) const {
    return state_.host_of(guest) != kNowhere && (problem_.at_leisure[guest] || problem_.home[guest] == kNowhere);
  }

  GuestIndex any_guest() {
    const auto& displaced = displaced_.list();
    return displaced.empty() || dice_.next() % 2 == 0 ? dice_.one_of(guests_) : dice_.one_of(displaced);
  }

  Change pick() {
    const auto& displaced = displaced_.list();
    switch (dice_.below(8)) {
      case 0:
      case 1: return {.a = any_guest(), .to = dice_.one_of(targets_)};
      case 2:
        if (displaced.empty()) return {};
        return returning(dice_.one_of(displaced));
      case 3:
      case 4:
      case 5:
        if (displaced.empty()) return {};
        return exchange(displaced[dice_.below(displaced.size())], kNowhere);
      default: return exchange(any_guest(), dice_.one_of(targets_));
    }
  }

  Change returning(GuestIndex guest) const { return {.a = guest, .to = problem_.home[guest]}; }

  // With a guest on that host, or on its home: then that one is moved instead.
  Change exchange(GuestIndex guest, HostIndex with) {
    const auto& there = state_.guests_on(with == kNowhere ? problem_.home[guest] : with);
    if (there.empty()) return {};
    return {.a = guest, .b = there[dice_.below(there.size())]};
  }

  int displacement(GuestIndex guest, HostIndex to) const {
    const auto home = problem_.home[guest];
    return home == kNowhere ? 0 : (to != home) - (state_.host_of(guest) != home);
  }

  bool may_be_on(GuestIndex guest, HostIndex host) const {
    const bool open = state_.takes(host) || (host == problem_.home[guest] && !problem_.cluster.hosts[host].evacuate);
    return open && problem_.compatible(guest, host);
  }

  bool evaluate(Change& change) {
    if (change.a == kNowhere) return false;
    return change.b == kNowhere ? evaluate_move(change) : evaluate_exchange(change);
  }

  bool evaluate_move(Change& change) const {
    const auto [guest, none, to, value] = change;
    const auto from = state_.host_of(guest);
    if (from == to || !state_.has_room(guest, to) || !may_be_on(guest, to)) return false;
    if (problem_.consolidates && (state_.guests_on(from).size() == 1 || !state_.in_use(to))) return false;
    const int moves = displacement(guest, to);
    if (moves > 0 && state_.displaced() >= most_moves_) return false;
    if (state_.rules().concerns(guest)) {
      const auto rules = state_.rules().change(guest, from, to);
      if (rules.breaks || rules.soft > 1e-9 || state_.blocked_by_move(guest, to)) return false;
    }
    change.value = state_.unevenness_after(guest, to) - state_.unevenness().value() + moves * problem_.price[guest];
    return true;
  }

  bool evaluate_exchange(Change& change) const {
    const auto a = change.a;
    const auto b = change.b;
    const auto host_a = state_.host_of(a);
    const auto host_b = state_.host_of(b);
    if (host_a == host_b || !free(b)) return false;
    if (!state_.has_room_after(host_a, a, b) || !state_.has_room_after(host_b, b, a)) return false;
    if (!may_be_on(a, host_b) || !may_be_on(b, host_a)) return false;
    const int moves_a = displacement(a, host_b);
    const int moves_b = displacement(b, host_a);
    if (moves_a + moves_b > 0 && state_.displaced() + static_cast<std::size_t>(moves_a + moves_b) > most_moves_) {
      return false;
    }
    const auto rules = state_.rule_change_of_swap(a, b);
    if (rules.breaks || rules.soft > 1e-9) return false;
    if (state_.blocked_by_move(a, host_b) || state_.blocked_by_move(b, host_a)) return false;
    change.value = state_.unevenness_after_swap(a, b) - state_.unevenness().value() + moves_a * problem_.price[a] +
                   moves_b * problem_.price[b];
    return true;
  }

  double warmth() {
    constexpr int kSamples = 256;
    double sum = 0;
    int count = 0;
    for (int i = 0; i < kSamples; ++i) {
      auto change = pick();
      if (!evaluate(change)) continue;
      sum += std::abs(change.value);
      ++count;
    }
    return count == 0 ? 0 : kHottest * sum / count;
  }

  void step() {
    auto change = pick();
    if (!evaluate(change)) return;
    if (change.value > 0 && change.value > -temperature_ * std::log(dice_.part() + 1e-300)) return;
    if (change.b == kNowhere) {
      move(change.a, change.to);
      return;
    }
    const auto host_a = state_.host_of(change.a);
    const auto host_b = state_.host_of(change.b);
    move(change.a, host_b);
    move(change.b, host_a);
  }

  void move(GuestIndex guest, HostIndex to) {
    state_.move(guest, to);
    changed_.set(guest, true);
    if (problem_.home[guest] != kNowhere) displaced_.set(guest, !state_.at_home(guest));
  }

  State& state_;
  const Problem& problem_;
  std::size_t most_moves_;
  Dice dice_;
  GuestSet displaced_;
  GuestSet changed_;  // since the best
  std::vector<HostIndex> targets_;
  std::vector<GuestIndex> guests_;
  Places best_;
  double best_value_ = 0;
  double temperature_ = 0;
};

}  // namespace

void anneal(State& state, std::size_t most_moves, std::uint64_t tries, std::uint64_t seed) {
  Annealing(state, most_moves, seed).run(tries);
}

}  // namespace bridgehead::scheduler
