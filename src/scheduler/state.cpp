#include "scheduler/state.h"

#include <algorithm>

#include "scheduler/headroom.h"
#include "scheduler/power.h"

namespace bridgehead::scheduler {
namespace {

constexpr double kRounding = 1 + 1e-9;

Amounts plus(const Amounts& a, const Amounts& b) {
  Amounts sum;
  for (std::size_t r = 0; r < kResources; ++r) sum[r] = a[r] + b[r];
  return sum;
}

Amounts minus(const Amounts& a, const Amounts& b) {
  Amounts difference;
  for (std::size_t r = 0; r < kResources; ++r) difference[r] = a[r] - b[r];
  return difference;
}

}  // namespace

State::State(const Problem& problem)
    : problem_(problem),
      guests_on_(problem.hosts()),
      takes_(problem.takes),
      woken_(problem.hosts()),
      slept_(problem.hosts()),
      held_(problem.cluster.rules.size()),
      rules_(problem),
      unevenness_(problem) {
  for (const auto& move : problem.cluster.moves) {
    if (problem.left[move.guest] == kNowhere) continue;
    leaving_.emplace_back(problem.left[move.guest], move.guest);
    for (const auto rule : problem.rules_of.of(move.guest)) held_[rule].push_back(problem.left[move.guest]);
  }
  assign(problem.home);
}

void State::assign(const Places& places) {
  places_ = places;
  load_.assign(problem_.hosts(), Amounts{});
  slot_.resize(problem_.guests());
  for (auto& list : guests_on_) list.clear();
  rules_.clear();
  price_ = 0;
  displaced_ = 0;
  for (GuestIndex guest = 0; guest < places_.size(); ++guest) {
    if (places_[guest] == kNowhere) continue;
    put(guest, places_[guest]);
    if (problem_.home[guest] == kNowhere || at_home(guest)) continue;
    price_ += problem_.price[guest];
    ++displaced_;
  }
  unevenness_.reset(load_, counted());
}

std::vector<std::uint8_t> State::counted() const {
  std::vector<std::uint8_t> counted(problem_.hosts());
  for (HostIndex host = 0; host < counted.size(); ++host) {
    counted[host] = on(host) && !problem_.cluster.hosts[host].evacuate && (!problem_.consolidates || in_use(host));
  }
  return counted;
}

void State::put(GuestIndex guest, HostIndex host) {
  load_[host] = plus(load_[host], problem_.demand[guest]);
  slot_[guest] = static_cast<std::uint32_t>(guests_on_[host].size());
  guests_on_[host].push_back(guest);
  rules_.add(guest, host);
}

void State::take(GuestIndex guest, HostIndex host) {
  load_[host] = minus(load_[host], problem_.demand[guest]);
  auto& list = guests_on_[host];
  list[slot_[guest]] = list.back();
  slot_[list.back()] = slot_[guest];
  list.pop_back();
  if (list.empty()) load_[host] = Amounts{};  // no rest of rounding
  rules_.remove(guest, host);
}

void State::move(GuestIndex guest, HostIndex to) {
  const auto from = places_[guest];
  if (from == to) return;
  const auto home = problem_.home[guest];
  if (home != kNowhere) {
    const int before = from != home;
    const int after = to != home;
    price_ += (after - before) * problem_.price[guest];
    displaced_ += static_cast<std::size_t>(after - before);
  }
  if (from != kNowhere) take(guest, from);
  if (to != kNowhere) put(guest, to);
  places_[guest] = to;
  if (from != kNowhere) unevenness_.set(from, load_[from]);
  if (to != kNowhere) unevenness_.set(to, load_[to]);
}

void State::set_woken(HostIndex host, bool woken) {
  woken_[host] = woken;
  takes_[host] = woken || problem_.takes[host];
}

void State::set_asleep(HostIndex host, bool asleep) {
  slept_[host] = asleep;
  takes_[host] = !asleep && problem_.takes[host];
}

bool State::has_room(GuestIndex guest, HostIndex host) const {
  const auto& load = load_[host];
  const auto& demand = problem_.demand[guest];
  const auto& room = problem_.room[host];
  for (std::size_t r = 0; r < kResources; ++r) {
    if (load[r] + demand[r] > room[r] * kRounding && demand[r] > 0) return false;
  }
  return true;
}

bool State::has_room_after(HostIndex host, GuestIndex goes, GuestIndex comes) const {
  const auto& load = load_[host];
  const auto& more = problem_.demand[comes];
  const auto& less = problem_.demand[goes];
  const auto& room = problem_.room[host];
  for (std::size_t r = 0; r < kResources; ++r) {
    if (load[r] - less[r] + more[r] > room[r] * kRounding && more[r] > less[r]) return false;
  }
  return true;
}

bool State::fits(GuestIndex guest, HostIndex host) const {
  return takes_[host] && has_room(guest, host) && problem_.compatible(guest, host);
}

RuleCost State::rule_change(GuestIndex guest, HostIndex to) const {
  return rules_.concerns(guest) ? rules_.change(guest, places_[guest], to) : RuleCost{};
}

bool State::blocked_by_move(GuestIndex guest, HostIndex to) const {
  if (leaving_.empty()) return false;
  return held_apart(guest, to) || (problem_.any_exclusive && held_exclusively(guest, to));
}

bool State::held_apart(GuestIndex guest, HostIndex to) const {
  for (const auto rule : problem_.rules_of.of(guest)) {
    const auto& given = problem_.cluster.rules[rule];
    if (!given.hard || given.kind != RuleKind::apart) continue;
    const auto& domain = problem_.domain[static_cast<std::size_t>(given.domain)];
    if (std::any_of(held_[rule].begin(), held_[rule].end(), [&](HostIndex h) { return domain[h] == domain[to]; })) {
      return true;
    }
  }
  return false;
}

// One that is on its way from there is still there, for its rules as for the guest's.
bool State::held_exclusively(GuestIndex guest, HostIndex to) const {
  const auto excludes = [&](GuestIndex member, GuestIndex other) {
    const auto of_member = problem_.rules_of.of(member);
    const auto of_other = problem_.rules_of.of(other);
    return std::any_of(of_member.begin(), of_member.end(), [&](std::uint32_t rule) {
      const auto& given = problem_.cluster.rules[rule];
      return given.hard && given.kind == RuleKind::exclusive &&
             std::find(of_other.begin(), of_other.end(), rule) == of_other.end();
    });
  };
  return std::any_of(leaving_.begin(), leaving_.end(), [&](const auto& leaving) {
    const auto [host, other] = leaving;
    return host == to && other != guest && (excludes(guest, other) || excludes(other, guest));
  });
}

bool State::may_move(GuestIndex guest, HostIndex to, double most_soft) const {
  if (!fits(guest, to)) return false;
  if (!rules_.concerns(guest)) return true;
  const auto change = rules_.change(guest, places_[guest], to);
  return !change.breaks && change.soft <= most_soft && !blocked_by_move(guest, to);
}

double State::unevenness_after(GuestIndex guest, HostIndex to) const {
  const auto from = places_[guest];
  const auto& demand = problem_.demand[guest];
  return unevenness_.with(from, from == kNowhere ? Amounts{} : minus(load_[from], demand), to, plus(load_[to], demand));
}

double State::unevenness_after_swap(GuestIndex a, GuestIndex b) const {
  const auto host_a = places_[a];
  const auto host_b = places_[b];
  const auto more = minus(problem_.demand[b], problem_.demand[a]);
  return unevenness_.with(host_a, plus(load_[host_a], more), host_b, minus(load_[host_b], more));
}

RuleCost State::rule_change_of_swap(GuestIndex a, GuestIndex b) const {
  if (!rules_.concerns(a) && !rules_.concerns(b)) return {};
  const auto host_a = places_[a];
  const auto host_b = places_[b];
  RuleCost cost = rules_.change(a, host_a, host_b);
  rules_.remove(a, host_a);
  rules_.add(a, host_b);
  cost += rules_.change(b, host_b, host_a);
  rules_.remove(a, host_b);
  rules_.add(a, host_a);
  return cost;
}

double State::overload(HostIndex host) const {
  double over = 0;
  for (std::size_t r = 0; r < kResources; ++r) {
    const double limit = problem_.limit[host][r];
    if (load_[host][r] <= limit * kRounding) continue;
    over += limit > 0 ? load_[host][r] / limit - 1 : 1;
  }
  return over;
}

double State::crowding(HostIndex host) const {
  if (!problem_.consolidates || !problem_.runs[host]) return 0;
  const double most = (1 + problem_.policy.ceiling) / 2;
  double over = 0;
  for (std::size_t r = 0; r < kResources; ++r) {
    if (!is_promised(r)) over += std::max(0.0, load_[host][r] * problem_.part[host][r] - most * kRounding);
  }
  return over;
}

// Guests on hosts that are to be emptied, or that lack what they need.
double State::misplaced() const {
  double count = 0;
  for (GuestIndex guest = 0; guest < places_.size(); ++guest) {
    const auto host = places_[guest];
    if (host == kNowhere) continue;
    count += (problem_.cluster.hosts[host].evacuate ? 1 : 0) + (problem_.compatible(guest, host) ? 0 : 1);
  }
  return count;
}

Score State::score() const {
  Score score;
  score.unplaced = static_cast<double>(std::count(places_.begin(), places_.end(), kNowhere));
  const auto rules = rules_.total();
  score.violations = rules.hard + misplaced();
  score.soft = rules.soft + missing_headroom(*this) + missing_capacity(*this);
  for (HostIndex host = 0; host < problem_.hosts(); ++host) {
    score.violations += overload(host);
    score.soft += crowding(host);
    if (problem_.consolidates && in_use(host)) score.hosts_on += 1;
    if (problem_.switches && on(host) && (!in_use(host) || !problem_.consolidates)) score.hosts_on += 1;
  }
  score.unevenness = unevenness_.value() + price_;
  return score;
}

bool better(const Score& a, const Score& b) {
  const double differences[] = {a.unplaced - b.unplaced, a.violations - b.violations, a.soft - b.soft,
                                a.hosts_on - b.hosts_on, a.unevenness - b.unevenness};
  for (const double difference : differences) {
    if (difference < -1e-9) return true;
    if (difference > 1e-9) return false;
  }
  return false;
}

}  // namespace bridgehead::scheduler
