#include "scheduler/power.h"

#include <algorithm>

#include "scheduler/headroom.h"

namespace bridgehead::scheduler {
namespace {

constexpr double kQuietTimes = 3;  // of the wake latency, for which a host isn't missed when it is sent to sleep

Amounts capacity_on(const State& state) {
  const auto& problem = state.problem();
  Amounts sum{};
  for (HostIndex host = 0; host < problem.hosts(); ++host) {
    const bool waking = problem.cluster.hosts[host].power == HostPower::waking;
    if (!state.takes(host) && !waking) continue;
    for (std::size_t r = 0; r < kResources; ++r) sum[r] += problem.room[host][r];
  }
  return sum;
}

bool covers(const Amounts& capacity, const Amounts& demand) {
  for (std::size_t r = 0; r < kResources; ++r) {
    if (demand[r] > capacity[r] * (1 + 1e-9)) return false;
  }
  return true;
}

// The most that is forecast until then, by resource, and what guests are expected to take up to the horizon; of what is
// used somewhat more, since forecasts err and hosts can't be filled to the last bit.
Amounts peak_until(const Problem& problem, Seconds until) {
  const auto& cluster = problem.cluster;
  Amounts peak{};
  if (cluster.forecast.empty()) return peak;
  constexpr double kSpare = 1.1;
  Seconds at{0};
  for (const auto& sample : cluster.forecast) {
    if (at > until) break;
    for (std::size_t r = 0; r < kResources; ++r) peak[r] = std::max(peak[r], sample[r]);
    at += cluster.forecast_step;
  }
  for (std::size_t r = 0; r < kResources; ++r) {
    if (!is_promised(r)) peak[r] = kSpare * std::max(peak[r], problem.demanded[r]);
  }
  return peak;
}

// Until the slowest host that can be switched is awake.
Seconds longest_wake(const Cluster& cluster) {
  Seconds longest{0};
  for (const auto& host : cluster.hosts) {
    if (host.power_model.can_be_switched) longest = std::max(longest, host.power_model.wake);
  }
  return longest + cluster.forecast_step;
}

Seconds quiet_time(const Host& host, Seconds longest_wake) {
  return std::max({kQuietTimes * host.power_model.wake, host.power_model.least_time_on, longest_wake});
}

bool may_sleep_now(const Policy& policy, Timestamp now) {
  if (!policy.power_at_night_only) return true;
  const auto hour =
      std::chrono::duration_cast<std::chrono::hours>(now.time_since_epoch() % std::chrono::hours(24)).count();
  return policy.night_from <= policy.night_to ? hour >= policy.night_from && hour < policy.night_to
                                              : hour >= policy.night_from || hour < policy.night_to;
}

bool asleep_now(const Host& host) { return host.power == HostPower::asleep || host.power == HostPower::off; }

}  // namespace

bool enough_for_forecast(const State& state) {
  const auto& problem = state.problem();
  if (!problem.switches || problem.cluster.forecast.empty()) return true;
  Amounts capacity{};
  Seconds longest{0};
  const auto wake = longest_wake(problem.cluster);
  for (HostIndex host = 0; host < problem.hosts(); ++host) {
    const auto& given = problem.cluster.hosts[host];
    // One that can't be switched stays on and can be used again.
    const bool stays = state.in_use(host) || !given.power_model.can_be_switched;
    if (given.power_model.can_be_switched) longest = std::max(longest, quiet_time(given, wake));
    if (!state.takes(host) || !stays) continue;
    for (std::size_t r = 0; r < kResources; ++r) capacity[r] += problem.room[host][r];
  }
  return covers(capacity, peak_until(problem, longest));
}

double missing_capacity(const State& state) {
  const auto& problem = state.problem();
  if (!problem.switches || problem.cluster.forecast.empty()) return 0;
  const auto capacity = capacity_on(state);
  const auto peak = peak_until(problem, longest_wake(problem.cluster));
  double hosts = 0;
  for (HostIndex host = 0; host < problem.hosts(); ++host) hosts += state.takes(host);
  double missing = 0;
  for (std::size_t r = 0; r < kResources; ++r) {
    if (peak[r] > capacity[r] * (1 + 1e-9)) missing = std::max(missing, peak[r] / std::max(capacity[r], 1e-9) - 1);
  }
  return missing * std::max(hosts, 1.0);
}

namespace {

class Waking {
 public:
  explicit Waking(State& state) : state_(state), problem_(state.problem()) {
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (!problem_.can_wake[host] || state.woken(host)) continue;
      const auto& model = problem_.cluster.hosts[host].power_model;
      order_.emplace_back(model.wake.count(), model.idle_watts, host);
    }
    std::sort(order_.begin(), order_.end());
  }

  bool run() {
    if (order_.empty()) return false;
    for_forecast();
    for_guests();
    for_headroom();
    if (changed_) state_.refresh();
    return changed_;
  }

 private:
  void wake(HostIndex host) {
    state_.set_woken(host, true);
    changed_ = true;
  }

  void for_forecast() {
    auto capacity = capacity_on(state_);
    for (const auto& [latency, watts, host] : order_) {
      const auto until = Seconds(latency) + problem_.cluster.forecast_step;
      if (covers(capacity, peak_until(problem_, until))) continue;
      wake(host);
      for (std::size_t r = 0; r < kResources; ++r) capacity[r] += problem_.room[host][r];
    }
  }

  // The first that is up of those that would do; one for each guest that none of those woken so far would do for.
  void for_guests() {
    const auto& places = state_.places();
    for (GuestIndex guest = 0; guest < places.size(); ++guest) {
      if (places[guest] != kNowhere) continue;
      const auto would_do = [&](HostIndex host) {
        return problem_.compatible(guest, host) && state_.has_room(guest, host) &&
               !state_.rule_change(guest, host).breaks;
      };
      const bool waits = std::any_of(order_.begin(), order_.end(), [&](const auto& entry) {
        return state_.woken(std::get<2>(entry)) && would_do(std::get<2>(entry));
      });
      if (waits) continue;
      const auto found = std::find_if(order_.begin(), order_.end(), [&](const auto& entry) {
        return !state_.woken(std::get<2>(entry)) && would_do(std::get<2>(entry));
      });
      if (found != order_.end()) wake(std::get<2>(*found));
    }
  }

  // Only if it helps.
  void for_headroom() {
    const double missing = missing_headroom(state_);
    if (missing <= 0) return;
    std::vector<HostIndex> woken;
    for (const auto& [latency, watts, host] : order_) {
      if (state_.woken(host)) continue;
      state_.set_woken(host, true);
      woken.push_back(host);
      const double now = missing_headroom(state_);
      if (now < missing) changed_ = true;
      if (now <= 0) return;
    }
    if (changed_) return;
    for (const auto host : woken) state_.set_woken(host, false);
  }

  State& state_;
  const Problem& problem_;
  std::vector<std::tuple<double, double, HostIndex>> order_;
  bool changed_ = false;
};

// Empty hosts that aren't needed before they could be back, the ones that take most power first.
std::vector<HostIndex> sleepers(const State& state) {
  const auto& problem = state.problem();
  std::vector<std::pair<double, HostIndex>> order;
  for (HostIndex host = 0; host < problem.hosts(); ++host) {
    const auto& given = problem.cluster.hosts[host];
    const bool held = std::any_of(problem.cluster.moves.begin(), problem.cluster.moves.end(),
                                  [&](const MoveUnderWay& move) { return problem.left[move.guest] == host; });
    if (!state.takes(host) || state.woken(host) || state.in_use(host) || held) continue;
    if (!given.power_model.can_be_switched) continue;
    if (problem.now - given.power_since < given.power_model.least_time_on) continue;
    order.emplace_back(-given.power_model.idle_watts, host);
  }
  std::sort(order.begin(), order.end());
  auto capacity = capacity_on(state);
  const auto wake = longest_wake(problem.cluster);
  std::vector<HostIndex> hosts;
  for (const auto& [watts, host] : order) {
    auto rest = capacity;
    for (std::size_t r = 0; r < kResources; ++r) rest[r] -= problem.room[host][r];
    if (!covers(rest, peak_until(problem, quiet_time(problem.cluster.hosts[host], wake)))) continue;
    hosts.push_back(host);
    capacity = rest;
  }
  return hosts;
}

}  // namespace

bool wake_hosts(State& state) { return state.problem().switches && Waking(state).run(); }

bool send_to_sleep(State& state) {
  const auto& problem = state.problem();
  if (!problem.switches || !may_sleep_now(problem.policy, problem.now)) return false;
  const auto hosts = sleepers(state);
  if (hosts.empty()) return false;
  const auto send = [&](std::size_t count) {
    for (std::size_t i = 0; i < hosts.size(); ++i) state.set_asleep(hosts[i], i < count);
  };
  // As many as headroom allows.
  const double missing = missing_headroom(state);
  std::size_t fine = 0;
  for (std::size_t too_many = hosts.size() + 1; fine + 1 < too_many;) {
    const auto count = (fine + too_many) / 2;
    send(count);
    (missing_headroom(state) > missing ? too_many : fine) = count;
  }
  send(fine);
  state.refresh();
  return fine > 0;
}

double watts(const State& state) {
  const auto& problem = state.problem();
  const auto cpu = index(Resource::cpu_used);
  double sum = 0;
  for (HostIndex host = 0; host < problem.hosts(); ++host) {
    const auto& model = problem.cluster.hosts[host].power_model;
    const bool off = state.asleep(host) || (asleep_now(problem.cluster.hosts[host]) && !state.woken(host));
    const double use = std::clamp(state.load(host)[cpu] * problem.part[host][cpu], 0.0, 1.0);
    sum += off ? model.asleep_watts : model.watts_on(use);
  }
  return sum;
}

}  // namespace bridgehead::scheduler
