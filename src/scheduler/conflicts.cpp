#include "scheduler/conflicts.h"

#include <algorithm>
#include <map>

#include "scheduler/explain.h"
#include "scheduler/small_search.h"

namespace bridgehead::scheduler {
namespace {

constexpr std::size_t kExplained = 50;  // one by one; the rest is told in one line
constexpr std::size_t kAnything = 0xffffffff;

class Conflicts {
 public:
  explicit Conflicts(State& state) : state_(state), problem_(state.problem()) {}

  std::vector<Conflict> find() {
    for (GuestIndex guest = 0; guest < problem_.guests(); ++guest) {
      const auto host = state_.host_of(guest);
      if (host == kNowhere) {
        stuck(guest, "has no host");
      } else if (problem_.cluster.hosts[host].evacuate) {
        stuck(guest, fmt::format("can't leave {}, which is to be emptied", name(host)));
      } else if (!problem_.compatible(guest, host)) {
        stuck(guest, fmt::format("is on {}, where it must not be", name(host)));
      }
    }
    for (std::uint32_t rule = 0; rule < problem_.cluster.rules.size(); ++rule) {
      if (problem_.cluster.rules[rule].hard && state_.rules().violation(rule) > 0) broken(rule);
    }
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (state_.overload(host) > 0) overloaded(host);
    }
    if (untold_ > 0) {
      found_.push_back(
          {.guests = rest_, .reason = fmt::format("{} more guests can't be where they should be", untold_)});
    }
    return std::move(found_);
  }

 private:
  const std::string& name(HostIndex host) const { return problem_.cluster.hosts[host].name; }

  bool is_told(GuestIndex guest) const {
    return std::any_of(found_.begin(), found_.end(), [&](const Conflict& conflict) {
      return !conflict.rules.empty() &&
             std::find(conflict.guests.begin(), conflict.guests.end(), guest) != conflict.guests.end();
    });
  }

  void stuck(GuestIndex guest, const std::string& what) {
    if (is_told(guest)) return;
    if (found_.size() >= kExplained) {
      ++untold_;
      rest_.push_back(guest);
      return;
    }
    const auto& given = problem_.cluster.guests[guest];
    Conflict conflict{.guests = {guest}};
    if (state_.host_of(guest) != kNowhere) conflict.hosts.push_back(state_.host_of(guest));
    if (state_.host_of(guest) != kNowhere && !problem_.movable[guest]) {
      conflict.reason = fmt::format("{} {}: {}", given.name, what, why_fixed(guest));
    } else {
      contradict(guest, conflict);
      conflict.reason = fmt::format("{} {}: {}", given.name, what,
                                    conflict.rules.empty() ? obstacles(guest) : rule_names(conflict.rules));
    }
    found_.push_back(std::move(conflict));
  }

  std::string why_fixed(GuestIndex guest) const {
    const auto& given = problem_.cluster.guests[guest];
    const auto host = state_.host_of(guest);
    if (!problem_.runs[host]) return fmt::format("{} isn't ready", name(host));
    if (given.may_move) return "a move of it is under way";
    return given.why_not.empty() ? "it may not be moved" : given.why_not;
  }

  std::string rule_names(const std::vector<std::uint32_t>& rules) const {
    std::string names;
    for (const auto rule : rules)
      names += fmt::format("{}'{}'", names.empty() ? "" : ", ", problem_.cluster.rules[rule].name);
    return rules.size() == 1 ? fmt::format("rule {} can't hold with the room there is", names)
                             : fmt::format("rules {} can't hold together with the room there is", names);
  }

  // Leaves rules out one by one as long as it stays impossible; what remains is the smallest set.
  void contradict(GuestIndex guest, Conflict& conflict) {
    const auto guests = SmallSearch::concerned(state_, guest);
    std::vector<std::uint32_t> rules;
    for (const auto one : guests) {
      for (const auto rule : problem_.place_rules(one)) rules.push_back(rule);
      for (const auto rule : problem_.rules_of.of(one)) {
        if (problem_.cluster.rules[rule].hard) rules.push_back(rule);
      }
    }
    std::sort(rules.begin(), rules.end());
    rules.erase(std::unique(rules.begin(), rules.end()), rules.end());
    SmallSearch search(state_, guests);
    const auto impossible = [&] { return !search.solve(kAnything) && !search.gave_up(); };
    if (rules.empty() || !impossible()) return;
    for (const auto rule : rules) {
      search.leave_out(rule, true);
      if (impossible()) continue;
      search.leave_out(rule, false);
      conflict.rules.push_back(rule);
    }
    for (const auto one : guests) {
      const bool concerned = std::any_of(conflict.rules.begin(), conflict.rules.end(), [&](std::uint32_t rule) {
        const auto& members = problem_.cluster.rules[rule].guests;
        return std::find(members.begin(), members.end(), one) != members.end();
      });
      if (concerned && one != guest) conflict.guests.push_back(one);
    }
  }

  // "12 hosts have less than 8 GiB of memory left, 3 are closed": by what stands in the way first.
  std::string obstacles(GuestIndex guest) const {
    std::map<std::string, std::size_t> counts;
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (host != state_.host_of(guest)) ++counts[obstacle(guest, host)];
    }
    std::string text;
    for (const auto& [what, count] : counts) {
      text += fmt::format("{}{} host{} {}", text.empty() ? "" : ", ", count, count == 1 ? "" : "s", what);
    }
    return text.empty() ? "there is no other host" : text;
  }

  std::string obstacle(GuestIndex guest, HostIndex host) const {
    if (!state_.on(host)) return "not ready or not on";
    if (problem_.cluster.hosts[host].evacuate) return "to be emptied";
    if (!state_.takes(host)) return "closed for new guests";
    if (!problem_.equipped(guest, host)) return "without a pool, a network or CPU features that it needs";
    if (!problem_.compatible(guest, host)) return "forbidden by a rule";
    for (std::size_t r = 0; r < kResources; ++r) {
      const double demand = problem_.demand[guest][r];
      if (demand > 0 && state_.load(host)[r] + demand > problem_.room[host][r] * (1 + 1e-9)) {
        return fmt::format("with less than {} of {} left", amount_of(r, demand), name_of(r));
      }
    }
    return "kept from it by a rule between guests";
  }

  void broken(std::uint32_t rule) {
    const auto& given = problem_.cluster.rules[rule];
    for (const auto& known : found_) {
      if (std::find(known.rules.begin(), known.rules.end(), rule) != known.rules.end()) return;
    }
    Conflict conflict{.rules = {}, .guests = given.guests};
    const auto free = std::find_if(given.guests.begin(), given.guests.end(), [&](GuestIndex guest) {
      return problem_.movable[guest] && state_.host_of(guest) != kNowhere;
    });
    if (free != given.guests.end() && found_.size() < kExplained) contradict(*free, conflict);
    if (conflict.rules.empty()) {
      conflict.rules = {rule};
      const auto fixed = std::find_if(given.guests.begin(), given.guests.end(), [&](GuestIndex guest) {
        return !problem_.movable[guest] && state_.host_of(guest) != kNowhere;
      });
      conflict.reason =
          fmt::format("rule '{}' doesn't hold{}", given.name,
                      fixed == given.guests.end()
                          ? std::string(" and no change that mends it was found")
                          : fmt::format(": {}: {}", problem_.cluster.guests[*fixed].name, why_fixed(*fixed)));
    } else {
      conflict.reason = rule_names(conflict.rules);
    }
    std::sort(conflict.guests.begin(), conflict.guests.end());
    conflict.guests.erase(std::unique(conflict.guests.begin(), conflict.guests.end()), conflict.guests.end());
    found_.push_back(std::move(conflict));
  }

  void overloaded(HostIndex host) {
    for (std::size_t r = 0; r < kResources; ++r) {
      const double load = state_.load(host)[r];
      if (load <= problem_.limit[host][r] * (1 + 1e-9)) continue;
      found_.push_back({.guests = state_.guests_on(host),
                        .hosts = {host},
                        .reason = fmt::format("{} stays overloaded: {} of {} {}, and no guest can leave it", name(host),
                                              amount_of(r, load), amount_of(r, problem_.limit[host][r]), name_of(r))});
      return;
    }
  }

  State& state_;
  const Problem& problem_;
  std::vector<Conflict> found_;
  std::vector<GuestIndex> rest_;
  std::size_t untold_ = 0;
};

}  // namespace

std::vector<Conflict> find_conflicts(State& state) { return Conflicts(state).find(); }

}  // namespace bridgehead::scheduler
