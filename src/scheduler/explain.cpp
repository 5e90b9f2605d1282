#include "scheduler/explain.h"

#include <algorithm>

#include "base/units.h"

namespace bridgehead::scheduler {
namespace {

class Explanation {
 public:
  explicit Explanation(const State& end) : problem_(end.problem()), end_(end), start_(problem_) {}

  void fill(Action& action) {
    switch (action.kind) {
      case ActionKind::wake:
        action.reason = fmt::format("wake {}: its capacity is needed, and it takes {:.0f} s to be ready",
                                    host(action.to).name, host(action.to).power_model.wake.count());
        return;
      case ActionKind::sleep:
        action.reason = fmt::format("send {} to sleep: no guest is left there, and the others suffice; saves {:.0f} W",
                                    host(action.to).name,
                                    host(action.to).power_model.idle_watts - host(action.to).power_model.asleep_watts);
        return;
      case ActionKind::place:
        action.reason = fmt::format("place {} ({}) on {}: {}", guest(action).name, size(action.guest),
                                    host(action.to).name, use_there(action.to));
        return;
      case ActionKind::move: break;
    }
    if (end_.unevenness().counts(action.to) || end_.unevenness().counts(action.from)) {
      action.gain = gain(action);
    }
    action.reason = fmt::format("move {} ({}) from {} to {}: {}", guest(action).name, size(action.guest),
                                host(action.from).name, host(action.to).name, why(action));
  }

 private:
  const Host& host(HostIndex index) const { return problem_.cluster.hosts[index]; }
  const Guest& guest(const Action& action) const { return problem_.cluster.guests[action.guest]; }

  double gain(const Action& action) const {
    const auto now = end_.host_of(action.guest);
    const auto home = problem_.home[action.guest];
    if (now == home || home == kNowhere) return 0;
    return end_.unevenness_after(action.guest, home) - end_.unevenness().value() - problem_.price[action.guest];
  }

  std::string size(GuestIndex index) const {
    return fmt::format("{:.0f} vCPUs, {}", problem_.demand[index][0], amount_of(1, problem_.demand[index][1]));
  }

  // The resource whose use there differs most between the two hosts.
  std::size_t telling(HostIndex from, HostIndex to) const {
    std::size_t best = 1;
    double most = -1;
    for (const auto r : problem_.resources) {
      const double difference = start_.unevenness().use(from, r) - start_.unevenness().use(to, r);
      if (difference > most) {
        most = difference;
        best = r;
      }
    }
    return best;
  }

  std::string use_there(HostIndex to) const {
    const auto& use = end_.unevenness();
    return fmt::format("{:.0f} % of its virtual CPUs and {:.0f} % of its memory are taken then", 100 * use.use(to, 0),
                       100 * use.use(to, 1));
  }

  std::string broken_rule(const Action& action) const {
    for (const auto rule : problem_.place_rules(action.guest)) {
      if (!problem_.allows(rule, action.from)) return problem_.cluster.rules[rule].name;
    }
    for (const auto rule : problem_.rules_of.of(action.guest)) {
      const auto& given = problem_.cluster.rules[rule];
      const bool place = given.kind == RuleKind::on_hosts || given.kind == RuleKind::off_hosts;
      if (place ? !problem_.allows(rule, action.from) : start_.rules().violation(rule) > 0) return given.name;
    }
    return "";
  }

  std::string why(const Action& action) const {
    const auto& from = host(action.from).name;
    switch (action.purpose) {
      case Purpose::evacuate: return fmt::format("{} is to be emptied", from);
      case Purpose::consolidate:
        return fmt::format("{} is emptied so that it can rest; {}", from, use_there(action.to));
      case Purpose::repair:
        if (const auto rule = broken_rule(action); !rule.empty()) return fmt::format("mends rule '{}'", rule);
        for (std::size_t r = 0; r < kResources; ++r) {
          const double load = start_.load(action.from)[r];
          if (load > problem_.limit[action.from][r] * (1 + 1e-9)) {
            return fmt::format("{} is overloaded: {} of {} {}", from, amount_of(r, load),
                               amount_of(r, problem_.limit[action.from][r]), name_of(r));
          }
        }
        if (!problem_.equipped(action.guest, action.from)) {
          return fmt::format("{} lacks a pool, a network or CPU features that it needs", from);
        }
        return "makes room for another guest";
      case Purpose::place:
      case Purpose::balance:
      case Purpose::power: break;
    }
    const auto r = telling(action.from, action.to);
    const auto& before = start_.unevenness();
    const auto& after = end_.unevenness();
    return fmt::format("{} {:.0f} % to {:.0f} % and {:.0f} % to {:.0f} %; wins {:.4g}", name_of(r),
                       100 * before.use(action.from, r), 100 * after.use(action.from, r),
                       100 * before.use(action.to, r), 100 * after.use(action.to, r), action.gain);
  }

  const Problem& problem_;
  const State& end_;
  State start_;
};

}  // namespace

const char* name_of(std::size_t resource) {
  static constexpr const char* kNames[] = {"virtual CPUs", "memory",          "CPU use",
                                           "memory use",   "storage traffic", "network traffic"};
  return kNames[resource];
}

std::string amount_of(std::size_t resource, double amount) {
  const auto bytes = [](double count) { return Bytes(static_cast<std::uint64_t>(std::max(0.0, count))).human(); };
  switch (static_cast<Resource>(resource)) {
    case Resource::memory:
    case Resource::memory_used: return bytes(amount);
    case Resource::storage_used:
    case Resource::network_used: return bytes(amount) + "/s";
    case Resource::vcpus: return fmt::format("{:.0f}", amount);
    case Resource::cpu_used: break;
  }
  return fmt::format("{:.1f}", amount);
}

void explain(std::vector<Action>& actions, const State& end) {
  if (actions.empty()) return;
  Explanation explanation(end);
  for (auto& action : actions) explanation.fill(action);
}

}  // namespace bridgehead::scheduler
