#include "scheduler/targets.h"

#include <algorithm>

namespace bridgehead::scheduler {
namespace {

constexpr std::size_t kLookedAt = 48;

void keep_least(std::vector<std::pair<double, HostIndex>>& hosts, std::size_t count, std::vector<HostIndex>& into) {
  count = std::min(count, hosts.size());
  std::nth_element(hosts.begin(), hosts.begin() + static_cast<std::ptrdiff_t>(count == 0 ? 0 : count - 1), hosts.end());
  for (std::size_t i = 0; i < count; ++i) into.push_back(hosts[i].second);
}

}  // namespace

std::vector<HostIndex> least_used(const State& state, std::size_t count) {
  const auto& problem = state.problem();
  std::vector<HostIndex> all;
  for (HostIndex host = 0; host < problem.hosts(); ++host) {
    if (is_target(state, host)) all.push_back(host);
  }
  if (all.size() <= count) return all;
  std::vector<HostIndex> chosen;
  std::vector<std::pair<double, HostIndex>> order;
  for (const auto host : all) {
    double sum = 0;
    for (const auto r : problem.resources) sum += problem.policy.weights[r] * state.unevenness().use(host, r);
    order.emplace_back(sum, host);
  }
  keep_least(order, count / 2, chosen);
  for (const auto r : problem.resources) {
    for (auto& [use, host] : order) use = state.unevenness().use(host, r);
    keep_least(order, count / 2 / problem.resources.size(), chosen);
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

double Targets::cost(GuestIndex guest, HostIndex host) const {
  const auto& problem = state_.problem();
  if (!problem.consolidates) return state_.unevenness_after(guest, host);
  // Best fit: the less is left the better; a host that isn't in use is the last choice.
  double left = state_.in_use(host) ? 0 : 1e3;
  for (std::size_t r = 0; r < kResources; ++r) {
    if (problem.demand[guest][r] <= 0) continue;
    left += 1 - (state_.load(host)[r] + problem.demand[guest][r]) * problem.part[host][r];
  }
  return left;
}

void Targets::consider(GuestIndex guest, HostIndex host, Choice& best, double most_hard) {
  if (host == state_.host_of(guest) || !state_.fits(guest, host)) return;
  ++evaluated_;
  const auto change = state_.rule_change(guest, host);
  if (change.breaks || change.hard > most_hard || state_.blocked_by_move(guest, host)) return;
  if (best.host != kNowhere && std::pair{change.hard, change.soft} > std::pair{best.hard, best.soft}) return;
  const double price = cost(guest, host);
  if (best.host != kNowhere &&
      std::tuple{change.hard, change.soft, price} >= std::tuple{best.hard, best.soft, best.cost}) {
    return;
  }
  best = {host, change.hard, change.soft, price};
}

std::optional<HostIndex> Targets::best(GuestIndex guest, HostIndex not_to) {
  Choice best;
  const bool few = state_.problem().hosts() <= kLookedAt;
  if (!few && !state_.problem().consolidates) {
    if (uses_++ % (kLookedAt / 2) == 0) least_used_ = least_used(state_, kLookedAt);
    for (const auto host : least_used_) {
      if (host != not_to) consider(guest, host, best, 0);
    }
    if (best.host != kNowhere && best.soft <= 0) return best.host;
  }
  for (HostIndex host = 0; host < state_.problem().hosts(); ++host) {
    if (host != not_to) consider(guest, host, best, 0);
  }
  return best.host == kNowhere ? std::nullopt : std::optional(best.host);
}

std::optional<HostIndex> Targets::mending(GuestIndex guest) {
  Choice best;
  for (HostIndex host = 0; host < state_.problem().hosts(); ++host) consider(guest, host, best, -0.5);
  return best.host == kNowhere ? std::nullopt : std::optional(best.host);
}

}  // namespace bridgehead::scheduler
