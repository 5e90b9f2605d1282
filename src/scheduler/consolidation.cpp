#include "scheduler/consolidation.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "scheduler/power.h"

namespace bridgehead::scheduler {
namespace {

class Consolidation {
 public:
  Consolidation(State& state, std::size_t most_moves)
      : state_(state), problem_(state.problem()), most_moves_(most_moves) {}

  std::uint64_t run() {
    const auto before = state_.places();
    const double soft = state_.score().soft;
    rank();
    std::size_t most = used_.size();  // that can be kept: more is known to work
    auto least = std::max<std::size_t>({1, musts_, static_cast<std::size_t>(std::ceil(least_hosts(state_)))});
    Places best;
    // The bound is nearly always nearly reached: so the search goes up from there. Of hundreds of hosts one per cent
    // isn't worth the time to pack tens of thousands of guests once more.
    const auto near = least / 100;
    auto step = near;
    while (least + near < most) {
      const auto keep = best.empty() ? std::min(least + step, most - 1) : (least + most) / 2;
      step = 2 * step + 1;
      bool packed = try_with(keep, false, soft);
      if (!packed) {
        state_.assign(before);
        packed = try_with(keep, true, soft);
      }
      if (packed) {
        best = state_.places();
        most = keep;
      } else {
        least = keep + 1;
      }
      state_.assign(before);
    }
    if (!best.empty()) state_.assign(best);
    return evaluated_;
  }

 private:
  double use(HostIndex host) const {
    double sum = 0;
    for (const auto r : problem_.resources) sum += state_.unevenness().use(host, r);
    return sum;
  }

  bool must_stay(HostIndex host) const {
    const auto& there = state_.guests_on(host);
    return std::any_of(there.begin(), there.end(), [&](GuestIndex guest) { return !problem_.at_leisure[guest]; });
  }

  // Hosts in use; the first are kept longest: those that can't be emptied, those that can't be switched, then the
  // largest, of these the fullest.
  void rank() {
    double scarce = -1;
    for (const auto r : problem_.resources) {
      double load = 0;
      double limit = 0;
      for (HostIndex host = 0; host < problem_.hosts(); ++host) {
        if (!state_.takes(host)) continue;
        load += state_.load(host)[r];
        limit += problem_.room[host][r];
      }
      scarcity_[r] = limit > 0 ? load / limit : 0;
      if (scarcity_[r] <= scarce) continue;
      scarce = scarcity_[r];
      scarcest_ = r;
    }
    std::vector<std::tuple<bool, bool, double, double, HostIndex>> order;
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (!state_.in_use(host) || !state_.on(host)) continue;
      const bool must = must_stay(host) || !state_.takes(host);
      musts_ += must;
      const bool switched = problem_.cluster.hosts[host].power_model.can_be_switched;
      order.emplace_back(!must, problem_.switches && switched, -problem_.room[host][scarcest_], -use(host), host);
    }
    std::sort(order.begin(), order.end());
    for (const auto& entry : order) used_.push_back(std::get<4>(entry));
  }

  double size(GuestIndex guest) const {
    double size = 0;
    for (const auto r : problem_.resources)
      size = std::max(size, problem_.demand[guest][r] * problem_.part[used_[0]][r]);
    return size;
  }

  // Leaves no guest on others than the first `keep` hosts. `all_anew`: packs the guests of these too, which takes more
  // moves and fails less.
  bool pack(std::size_t keep, bool all_anew) {
    kept_.clear();
    by_room_.clear();
    std::vector<std::pair<double, GuestIndex>> leaving;
    for (std::size_t i = 0; i < used_.size(); ++i) {
      if (i < keep) kept_.insert(used_[i]);
      if (i < keep && !all_anew) continue;
      for (const auto guest : state_.guests_on(used_[i])) {
        if (problem_.at_leisure[guest]) leaving.emplace_back(-size(guest), guest);
      }
    }
    if (all_anew) {
      for (const auto& entry : leaving) state_.move(entry.second, kNowhere);
    }
    for (const auto host : kept_) note(host);
    std::sort(leaving.begin(), leaving.end());
    const bool packed = std::all_of(leaving.begin(), leaving.end(), [&](const auto& entry) {
      const auto guest = entry.second;
      if (!all_anew && state_.at_home(guest) && state_.displaced() >= most_moves_) return false;
      return put(guest) || put_for_another(guest);
    });
    return packed && state_.displaced() <= most_moves_;
  }

  bool try_with(std::size_t keep, bool all_anew, double soft) {
    return pack(keep, all_anew) && enough_for_forecast(state_) && state_.score().soft <= soft + 1e-9;
  }

  double room(HostIndex host) const { return problem_.room[host][scarcest_] - state_.load(host)[scarcest_]; }
  void note(HostIndex host) {
    if (state_.takes(host)) by_room_.emplace(room(host), host);
  }
  void forget(HostIndex host) { by_room_.erase({room(host), host}); }

  void move(GuestIndex guest, HostIndex to) {
    const auto from = state_.host_of(guest);
    if (kept_.contains(from)) forget(from);
    forget(to);
    state_.move(guest, to);
    if (kept_.contains(from)) note(from);
    note(to);
  }

  // How much is left there, of what is scarce above all.
  double left(GuestIndex guest, HostIndex host) const {
    double left = 0;
    for (const auto r : problem_.resources) {
      const double free = problem_.room[host][r] - state_.load(host)[r] - problem_.demand[guest][r];
      const double part = free * problem_.part[host][r];
      left += scarcity_[r] * scarcity_[r] * part * part;
    }
    return left;
  }

  bool put(GuestIndex guest, HostIndex not_to = kNowhere) {
    constexpr int kFitting = 12;
    constexpr int kLookedAt = 200;
    HostIndex best = kNowhere;
    double least_left = 1e300;
    int found = 0;
    int looked_at = 0;
    for (auto i = by_room_.lower_bound({problem_.demand[guest][scarcest_] * (1 - 1e-9), 0}); i != by_room_.end(); ++i) {
      ++evaluated_;
      if (++looked_at > kLookedAt) break;
      if (i->second == not_to || !state_.may_move(guest, i->second, 1e9)) continue;
      const double rest = left(guest, i->second);
      if (rest < least_left) {
        least_left = rest;
        best = i->second;
      }
      if (++found >= kFitting) break;
    }
    if (best == kNowhere) return false;
    move(guest, best);
    return true;
  }

  // Of the hosts with most room, one whose guest can go elsewhere so that this one fits.
  bool put_for_another(GuestIndex guest) {
    constexpr int kHosts = 24;
    std::vector<HostIndex> roomy;
    for (auto i = by_room_.rbegin(); i != by_room_.rend() && roomy.size() < kHosts; ++i) roomy.push_back(i->second);
    for (const auto host : roomy) {
      if (!problem_.compatible(guest, host)) continue;
      auto others = state_.guests_on(host);
      std::sort(others.begin(), others.end(), [&](GuestIndex a, GuestIndex b) {
        return std::pair{size(a), a} < std::pair{size(b), b};
      });
      for (const auto other : others) {
        ++evaluated_;
        if (!problem_.at_leisure[other] || !state_.has_room_after(host, other, guest)) continue;
        if (state_.displaced() + 2 > most_moves_) return false;
        if (!put(other, host)) continue;
        if (state_.may_move(guest, host, 1e9)) {
          move(guest, host);
          return true;
        }
        move(other, host);
      }
    }
    return false;
  }

  State& state_;
  const Problem& problem_;
  std::size_t most_moves_;
  std::vector<HostIndex> used_;
  std::size_t musts_ = 0;
  std::size_t scarcest_ = 1;
  Amounts scarcity_{};  // the part of all room that is taken
  std::set<HostIndex> kept_;
  std::set<std::pair<double, HostIndex>> by_room_;  // kept hosts by room of the scarcest resource
  std::uint64_t evaluated_ = 0;
};

}  // namespace

std::uint64_t consolidate(State& state, std::size_t most_moves) { return Consolidation(state, most_moves).run(); }

double least_hosts(const State& state) {
  const auto& problem = state.problem();
  double most = 0;
  for (std::size_t r = 0; r < kResources; ++r) {
    std::vector<double> rooms;
    double demand = 0;
    for (HostIndex host = 0; host < problem.hosts(); ++host) {
      demand += state.load(host)[r];
      // A host that holds more than its room counts with what it holds.
      if (state.on(host)) rooms.push_back(std::max(problem.room[host][r], state.load(host)[r]));
    }
    std::sort(rooms.begin(), rooms.end(), std::greater<>());
    double hosts = 0;
    for (const double room : rooms) {
      if (demand <= 1e-9 * room || std::isinf(room)) break;
      hosts += 1;
      demand -= room;
    }
    most = std::max(most, hosts);
  }
  return most;
}

}  // namespace bridgehead::scheduler
