#include "scheduler/bounds.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bridgehead::scheduler {
namespace {

constexpr int kBisections = 40;

struct HostUse {
  double load = 0;   // as part of its limit
  double fixed = 0;  // of guests that can't leave
  double limit = 0;
};

class Bound {
 public:
  explicit Bound(const State& start) : start_(start), problem_(start.problem()) {}

  // The number of moves is in one of a few ranges: in each, at least the price of the fewest and the effect of the
  // most.
  double run() {
    if (start_.unevenness().counted() == 0 || arrivals()) return 0;
    std::size_t movable = 0;
    double cheapest = 1e300;
    for (GuestIndex guest = 0; guest < problem_.guests(); ++guest) {
      if (!problem_.movable[guest]) continue;
      ++movable;
      cheapest = std::min(cheapest, problem_.price[guest]);
    }
    const auto most = std::min<std::size_t>(movable, problem_.policy.most_moves);
    for (const auto r : problem_.resources) list(r);
    double least = value(0);
    for (std::size_t from = 1; from <= most; from *= 4) {
      const auto to = std::min(most, 4 * from - 1);
      least = std::min(least, value(to) + static_cast<double>(from) * cheapest);
    }
    return least;
  }

 private:
  struct Relaxed {
    std::vector<HostUse> hosts;
    std::vector<double> taken;  // by number of moves: at most so much leaves, as amount
    double largest = 0;         // part of the largest host's limit that the largest guest needs
    bool alike = true;          // all limits
  };

  // Guests that come from outside of what is counted.
  bool arrivals() const {
    for (GuestIndex guest = 0; guest < problem_.guests(); ++guest) {
      const auto home = problem_.home[guest];
      if (home == kNowhere || (!start_.unevenness().counts(home) && problem_.movable[guest])) return true;
    }
    return false;
  }

  void list(std::size_t r) {
    auto& relaxed = relaxed_[r];
    std::vector<double> sizes;
    double largest_limit = 0;
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (!start_.unevenness().counts(host) || problem_.part[host][r] <= 0) continue;
      HostUse use{start_.unevenness().use(host, r), 0, 1 / problem_.part[host][r]};
      for (const auto guest : start_.guests_on(host)) {
        (problem_.movable[guest] ? sizes.emplace_back() : use.fixed) +=
            problem_.demand[guest][r] * (problem_.movable[guest] ? 1 : problem_.part[host][r]);
        relaxed.largest = std::max(relaxed.largest, problem_.demand[guest][r]);
      }
      largest_limit = std::max(largest_limit, use.limit);
      relaxed.hosts.push_back(use);
      relaxed.alike = relaxed.alike && std::abs(use.limit / relaxed.hosts[0].limit - 1) < 1e-12;
    }
    relaxed.largest = largest_limit > 0 ? relaxed.largest / largest_limit : 0;
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    relaxed.taken.assign(1, 0);
    for (const double size : sizes) relaxed.taken.push_back(relaxed.taken.back() + size);
  }

  double value(std::size_t moves) const {
    const bool peak = problem_.policy.evenness == Evenness::peak;
    double sum = 0;
    for (const auto r : problem_.resources) {
      const auto& relaxed = relaxed_[r];
      if (relaxed.hosts.empty()) continue;
      const double amount = relaxed.taken[std::min(moves, relaxed.taken.size() - 1)];
      sum += problem_.policy.weights[r] * (peak ? least_peak(relaxed, amount) : least_deviation(relaxed, amount));
    }
    return sum;
  }

  static double above(const Relaxed& relaxed, double level) {
    double sum = 0;
    for (const auto& host : relaxed.hosts) sum += std::max(0.0, host.load - std::max(level, host.fixed)) * host.limit;
    return sum;
  }
  static double below(const Relaxed& relaxed, double level) {
    double sum = 0;
    for (const auto& host : relaxed.hosts) sum += std::max(0.0, level - host.load) * host.limit;
    return sum;
  }

  // The lowest level to which the fullest come when so much is taken off, and the highest to which so much fills up.
  static double top_level(const Relaxed& relaxed, double amount) {
    double low = 0;
    double high = 0;
    for (const auto& host : relaxed.hosts) high = std::max(high, host.load);
    for (int i = 0; i < kBisections; ++i) {
      const double level = (low + high) / 2;
      (above(relaxed, level) > amount ? low : high) = level;
    }
    return low;
  }
  static double bottom_level(const Relaxed& relaxed, double amount, double highest) {
    double low = 0;
    double high = highest;
    for (int i = 0; i < kBisections; ++i) {
      const double level = (low + high) / 2;
      (below(relaxed, level) < amount ? low : high) = level;
    }
    return high;
  }

  static double mean(const Relaxed& relaxed) {
    double load = 0;
    double limit = 0;
    for (const auto& host : relaxed.hosts) {
      load += host.load * host.limit;
      limit += host.limit;
    }
    return load / limit;
  }

  static double least_deviation(const Relaxed& relaxed, double amount) {
    if (!relaxed.alike) return 0;
    const double middle = mean(relaxed);
    const double top = std::max(middle, top_level(relaxed, amount));
    const double moved = std::min(amount, above(relaxed, top));
    const double bottom = std::min(middle, bottom_level(relaxed, moved, middle));
    double squares = 0;
    for (const auto& host : relaxed.hosts) {
      const double use = std::clamp(host.load, bottom, std::max(bottom, std::max(top, host.fixed)));
      squares += (use - middle) * (use - middle);
    }
    return std::sqrt(squares / static_cast<double>(relaxed.hosts.size()));
  }

  static double least_peak(const Relaxed& relaxed, double amount) {
    double least = std::max({mean(relaxed), relaxed.largest, top_level(relaxed, amount)});
    for (const auto& host : relaxed.hosts) least = std::max(least, host.fixed);
    return least;
  }

  const State& start_;
  const Problem& problem_;
  Relaxed relaxed_[kResources];
};

}  // namespace

double least_unevenness(const State& start) { return Bound(start).run(); }

}  // namespace bridgehead::scheduler
