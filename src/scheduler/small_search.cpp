#include "scheduler/small_search.h"

#include <algorithm>

#include "scheduler/targets.h"

namespace bridgehead::scheduler {
namespace {

constexpr std::size_t kFew = 12;
constexpr std::size_t kHosts = 32;

}  // namespace

std::vector<GuestIndex> SmallSearch::concerned(const State& state, GuestIndex guest) {
  const auto& problem = state.problem();
  std::vector<GuestIndex> guests{guest};
  for (std::size_t i = 0; i < guests.size(); ++i) {
    for (const auto rule : problem.rules_of.of(guests[i])) {
      const auto& given = problem.cluster.rules[rule];
      if (!given.hard || guests.size() + given.guests.size() > kFew + 1) continue;
      for (const auto other : given.guests) {
        const bool free = problem.movable[other] || state.host_of(other) == kNowhere;
        if (free && std::find(guests.begin(), guests.end(), other) == guests.end()) guests.push_back(other);
      }
    }
  }
  return guests;
}

SmallSearch::SmallSearch(State& state, std::vector<GuestIndex> guests)
    : state_(state),
      problem_(state.problem()),
      guests_(std::move(guests)),
      left_out_(problem_.cluster.rules.size()),
      least_used_(least_used(state, kHosts)) {
  for (const auto guest : guests_) was_.push_back(state_.host_of(guest));
}

std::optional<Places> SmallSearch::solve(std::size_t most_moves) {
  best_.reset();
  tries_ = 0;
  most_moves_ = most_moves;
  best_moves_ = guests_.size() + 1;
  for (const auto guest : guests_) state_.move(guest, kNowhere);
  place_next(0, 0);
  for (std::size_t i = 0; i < guests_.size(); ++i) state_.move(guests_[i], was_[i]);
  return best_;
}

bool SmallSearch::allowed(GuestIndex guest, HostIndex host) const {
  const auto rules = problem_.place_rules(guest);
  return problem_.equipped(guest, host) && std::all_of(rules.begin(), rules.end(), [&](std::uint32_t rule) {
           return left_out_[rule] || problem_.allows(rule, host);
         });
}

bool SmallSearch::rules_hold(GuestIndex guest, HostIndex host) const {
  return !state_.rules().concerns(guest) || !state_.rules().change(guest, kNowhere, host, &left_out_).breaks;
}

std::vector<HostIndex> SmallSearch::candidates(GuestIndex guest, HostIndex was) const {
  std::vector<HostIndex> hosts;
  if (was != kNowhere) hosts.push_back(was);
  for (const auto other : was_) {
    if (other != kNowhere) hosts.push_back(other);
  }
  for (const auto rule : problem_.rules_of.of(guest)) {
    for (const auto member : problem_.cluster.rules[rule].guests) {
      if (state_.host_of(member) != kNowhere) hosts.push_back(state_.host_of(member));
    }
  }
  // Where only few hosts are allowed, all of them; else the least used.
  std::size_t found = 0;
  if (!problem_.place_rules(guest).empty()) {
    for (HostIndex host = 0; host < problem_.hosts() && found < kHosts; ++host) {
      if (!state_.takes(host) || !allowed(guest, host) || !state_.has_room(guest, host)) continue;
      hosts.push_back(host);
      ++found;
    }
  }
  hosts.insert(hosts.end(), least_used_.begin(), least_used_.end());
  std::vector<HostIndex> once;
  for (const auto host : hosts) {
    if (std::find(once.begin(), once.end(), host) == once.end()) once.push_back(host);
  }
  return once;
}

void SmallSearch::place_next(std::size_t depth, std::size_t moves) {
  if (moves >= best_moves_ || moves > most_moves_ || gave_up()) return;
  if (depth == guests_.size()) {
    best_moves_ = moves;
    best_.emplace();
    for (const auto guest : guests_) best_->push_back(state_.host_of(guest));
    return;
  }
  const auto guest = guests_[depth];
  const auto was = was_[depth];
  for (const auto host : candidates(guest, was)) {
    ++tries_;
    const bool stays = host == was && !problem_.cluster.hosts[host].evacuate;
    if (!stays && !state_.takes(host)) continue;
    if (!allowed(guest, host) || !state_.has_room(guest, host) || !rules_hold(guest, host)) continue;
    if (!stays && state_.blocked_by_move(guest, host)) continue;
    state_.move(guest, host);
    place_next(depth + 1, moves + (stays || was == kNowhere ? 0 : 1));
    state_.move(guest, kNowhere);
  }
}

}  // namespace bridgehead::scheduler
