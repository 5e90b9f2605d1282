#include "scheduler/ordering.h"

#include <algorithm>

#include "scheduler/targets.h"

namespace bridgehead::scheduler {
namespace {

class Ordering {
 public:
  Ordering(const State& wanted, const std::vector<Purpose>& purposes)
      : wanted_(wanted),
        problem_(wanted.problem()),
        purposes_(purposes),
        now_(problem_),
        targets_(now_),
        arrived_(problem_.hosts()),
        departures_(problem_.hosts()),
        wake_of_(problem_.hosts(), kNowhere),
        action_of_(problem_.guests(), kNowhere),
        hopped_(problem_.guests()),
        no_together_(problem_.cluster.rules.size()) {
    for (std::size_t rule = 0; rule < no_together_.size(); ++rule) {
      no_together_[rule] = problem_.cluster.rules[rule].kind == RuleKind::together;
    }
  }

  Ordered run() {
    wake_hosts();
    list_pending();
    while (!pending_.empty()) {
      if (!do_what_is_possible() && !hop() && !pending_.empty()) give_up_one();
    }
    send_to_sleep();
    result_.places = now_.places();
    return std::move(result_);
  }

 private:
  const Guest& guest(GuestIndex index) const { return problem_.cluster.guests[index]; }

  void wake_hosts() {
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (!wanted_.woken(host)) continue;
      now_.set_woken(host, true);
      wake_of_[host] = static_cast<std::uint32_t>(result_.actions.size());
      result_.actions.push_back({.kind = ActionKind::wake,
                                 .purpose = Purpose::power,
                                 .to = host,
                                 .duration = problem_.cluster.hosts[host].power_model.wake});
    }
  }

  void list_pending() {
    for (GuestIndex g = 0; g < problem_.guests(); ++g) {
      if (wanted_.host_of(g) != now_.host_of(g) && wanted_.host_of(g) != kNowhere) pending_.push_back(g);
    }
    std::vector<std::uint32_t> turn(problem_.guests());  // after whom it starts, at most a few deep
    for (int depth = 0; depth < 8; ++depth) {
      for (const auto g : pending_) {
        for (const auto first : guest(g).starts_after) turn[g] = std::max(turn[g], turn[first] + 1);
      }
    }
    std::stable_sort(pending_.begin(), pending_.end(), [&](GuestIndex a, GuestIndex b) {
      const auto key = [&](GuestIndex g) {
        const bool urgent = purposes_[g] != Purpose::balance && purposes_[g] != Purpose::consolidate;
        const auto priority = guest(g).priority;
        return std::tuple{!urgent, turn[g], urgent ? -priority : priority};
      };
      return key(a) < key(b);
    });
  }

  bool possible(GuestIndex g, HostIndex to) const {
    const auto& load = now_.load(to);
    const auto& demand = problem_.demand[g];
    for (std::size_t r = 0; r < kResources; ++r) {
      if (demand[r] > 0 && load[r] + demand[r] > passing_room(to, r) * (1 + 1e-9)) return false;
    }
    if (!now_.rules().concerns(g)) return true;
    return !now_.rules().change(g, now_.host_of(g), to, &no_together_).breaks && !now_.blocked_by_move(g, to);
  }

  // On the way the whole limit may be used, not only up to the ceiling.
  double passing_room(HostIndex host, std::size_t r) const {
    return is_promised(r) ? problem_.room[host][r]
                          : std::max(problem_.room[host][r],
                                     problem_.room[host][r] + problem_.limit[host][r] * (1 - problem_.policy.ceiling));
  }

  bool do_what_is_possible() {
    std::vector<GuestIndex> left;
    for (const auto g : pending_) {
      if (possible(g, wanted_.host_of(g))) {
        act(g, wanted_.host_of(g));
      } else {
        left.push_back(g);
      }
    }
    const bool progress = left.size() < pending_.size();
    pending_ = std::move(left);
    return progress;
  }

  bool hop() {
    auto order = pending_;
    std::sort(order.begin(), order.end(), [&](GuestIndex a, GuestIndex b) {
      return std::pair{problem_.cost[a], a} < std::pair{problem_.cost[b], b};
    });
    for (const auto g : order) {
      if (hopped_[g] || now_.host_of(g) == kNowhere) continue;
      const auto over = targets_.best(g, wanted_.host_of(g));
      if (!over) continue;
      hopped_[g] = 1;
      act(g, *over);
      return true;
    }
    return false;
  }

  void give_up_one() {
    const auto worst = std::max_element(pending_.begin(), pending_.end(), [&](GuestIndex a, GuestIndex b) {
      return std::pair{problem_.cost[a], a} < std::pair{problem_.cost[b], b};
    });
    pending_.erase(worst);
    result_.complete = false;
  }

  void act(GuestIndex g, HostIndex to) {
    const auto from = now_.host_of(g);
    const auto number = static_cast<std::uint32_t>(result_.actions.size());
    Action action{.kind = from == kNowhere ? ActionKind::place : ActionKind::move,
                  .purpose = purposes_[g],
                  .guest = g,
                  .from = from,
                  .to = to};
    if (from != kNowhere) {
      action.duration = Seconds(guest(g).memory_to_copy * std::max(1u, problem_.policy.moves_per_host) /
                                std::max(1.0, problem_.policy.link));
    }
    action.after = wait_for(g, to);
    result_.actions.push_back(std::move(action));
    action_of_[g] = number;
    for (std::size_t r = 0; r < kResources; ++r) arrived_[to][r] += problem_.demand[g][r];
    if (from != kNowhere) departures_[from].push_back(number);
    now_.move(g, to);
  }

  // Whatever must be over before: the departures that make the room, or that a rule waits for.
  std::vector<std::uint32_t> wait_for(GuestIndex g, HostIndex to) {
    std::vector<std::uint32_t> after;
    if (wake_of_[to] != kNowhere) after.push_back(wake_of_[to]);
    if (action_of_[g] != kNowhere) after.push_back(action_of_[g]);
    if (now_.host_of(g) == kNowhere) {
      for (const auto first : guest(g).starts_after) {
        if (action_of_[first] != kNowhere) after.push_back(action_of_[first]);
      }
    }
    // Arrivals earlier in the order count as there, whether they have begun or not; so any of them may begin first.
    Amounts missing{};
    for (std::size_t r = 0; r < kResources; ++r) {
      if (problem_.demand[g][r] <= 0) continue;
      missing[r] = problem_.demand[g][r] + at_first(to)[r] + arrived_[to][r] - passing_room(to, r) * (1 + 1e-9);
    }
    for (const auto departure : departures_[to]) {
      if (std::all_of(missing.begin(), missing.end(), [](double m) { return m <= 0; })) break;
      after.push_back(departure);
      for (std::size_t r = 0; r < kResources; ++r) {
        missing[r] -= problem_.demand[result_.actions[departure].guest][r];
      }
    }
    wait_for_rules(g, to, after);
    std::sort(after.begin(), after.end());
    after.erase(std::unique(after.begin(), after.end()), after.end());
    return after;
  }

  void wait_for_rules(GuestIndex g, HostIndex to, std::vector<std::uint32_t>& after) const {
    if (problem_.any_exclusive) after.insert(after.end(), departures_[to].begin(), departures_[to].end());
    for (const auto rule : problem_.rules_of.of(g)) {
      const auto& given = problem_.cluster.rules[rule];
      if (given.kind != RuleKind::apart || !given.hard) continue;
      const auto& domain = problem_.domain[static_cast<std::size_t>(given.domain)];
      for (const auto other : given.guests) {
        if (other == g || action_of_[other] == kNowhere) continue;
        const auto& action = result_.actions[action_of_[other]];
        const bool was_there = action.from != kNowhere && domain[action.from] == domain[to];
        const bool began_there = problem_.home[other] != kNowhere && domain[problem_.home[other]] == domain[to];
        if (was_there || began_there) after.push_back(action_of_[other]);
      }
    }
  }

  const Amounts& at_first(HostIndex host) {
    if (at_first_.empty()) {
      at_first_.resize(problem_.hosts());
      for (GuestIndex g = 0; g < problem_.guests(); ++g) {
        if (problem_.home[g] == kNowhere) continue;
        for (std::size_t r = 0; r < kResources; ++r) at_first_[problem_.home[g]][r] += problem_.demand[g][r];
      }
    }
    return at_first_[host];
  }

  void send_to_sleep() {
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (!wanted_.asleep(host) || now_.in_use(host)) continue;
      result_.actions.push_back(
          {.kind = ActionKind::sleep, .purpose = Purpose::power, .to = host, .after = departures_[host]});
    }
  }

  const State& wanted_;
  const Problem& problem_;
  const std::vector<Purpose>& purposes_;
  State now_;
  Targets targets_;
  std::vector<GuestIndex> pending_;
  std::vector<Amounts> at_first_;
  std::vector<Amounts> arrived_;                        // by host, in sum
  std::vector<std::vector<std::uint32_t>> departures_;  // by host: actions
  std::vector<std::uint32_t> wake_of_;
  std::vector<std::uint32_t> action_of_;  // the guest's last
  std::vector<std::uint8_t> hopped_;
  std::vector<std::uint8_t> no_together_;
  Ordered result_;
};

}  // namespace

Ordered order(const State& wanted, const std::vector<Purpose>& purposes) { return Ordering(wanted, purposes).run(); }

}  // namespace bridgehead::scheduler
