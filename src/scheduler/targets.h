// Targets: hosts that are worth looking at as a guest's next one, so that not all of 10,000 need to be.
#pragma once

#include <optional>

#include "scheduler/state.h"

namespace bridgehead::scheduler {

// Whether guests may be put there: where the policy consolidates, hosts that aren't in use stay so.
inline bool is_target(const State& state, HostIndex host) {
  return state.takes(host) && (!state.problem().consolidates || state.in_use(host));
}

// The least used hosts by all resources together and by each alone; all of them where there are few. By host.
std::vector<HostIndex> least_used(const State& state, std::size_t count);

// Finds the host of one guest after another that has to go or to be placed.
class Targets {
 public:
  explicit Targets(State& state) : state_(state) {}

  // The best host that the guest may be moved to without a new violation: the one that leaves the cluster most even,
  // or, where the policy consolidates, the fullest. `not_to` is left out.
  std::optional<HostIndex> best(GuestIndex guest, HostIndex not_to = kNowhere);
  // As above, but mends as much as possible of hard rules; only if it mends at least something.
  std::optional<HostIndex> mending(GuestIndex guest);
  std::uint64_t evaluated() const { return evaluated_; }

 private:
  struct Choice {
    HostIndex host = kNowhere;
    double hard = 0;
    double soft = 0;
    double cost = 0;
  };
  void consider(GuestIndex guest, HostIndex host, Choice& best, double most_hard);
  double cost(GuestIndex guest, HostIndex host) const;

  State& state_;
  std::vector<HostIndex> least_used_;
  std::size_t uses_ = 0;
  std::uint64_t evaluated_ = 0;
};

}  // namespace bridgehead::scheduler
