#include "scheduler/rule_state.h"

#include <algorithm>

namespace bridgehead::scheduler {
namespace {

bool is_place(RuleKind kind) { return kind == RuleKind::on_hosts || kind == RuleKind::off_hosts; }

}  // namespace

RuleState::RuleState(const Problem& problem)
    : problem_(problem), counts_(problem.cluster.rules.size()), guests_on_(problem.hosts()) {
  if (problem.any_exclusive) exclusive_on_.resize(problem.hosts());
}

void RuleState::clear() {
  std::fill(counts_.begin(), counts_.end(), Counts{});
  std::fill(guests_on_.begin(), guests_on_.end(), 0);
  for (auto& rules : exclusive_on_) rules.clear();
  soft_places_ = 0;
}

std::uint32_t RuleState::domain_of(std::uint32_t rule, HostIndex host) const {
  const auto& given = problem_.cluster.rules[rule];
  return problem_.domain[given.kind == RuleKind::exclusive ? 0 : static_cast<std::size_t>(given.domain)][host];
}

std::uint32_t RuleState::members(std::uint32_t rule, std::uint32_t domain) const {
  const auto& in = counts_[rule].in;
  const auto found =
      std::lower_bound(in.begin(), in.end(), domain, [](const Count& c, std::uint32_t d) { return c.domain < d; });
  return found == in.end() || found->domain != domain ? 0 : found->guests;
}

bool RuleState::is_member(GuestIndex guest, std::uint32_t rule) const {
  const auto rules = problem_.rules_of.of(guest);
  return std::find(rules.begin(), rules.end(), rule) != rules.end();
}

double RuleState::numa(GuestIndex guest, HostIndex host) const {
  const auto wanted = problem_.cluster.guests[guest].numa_cpus;
  const auto& given = problem_.cluster.hosts[host];
  if (wanted == 0 || given.cell_cpus == 0) return 0;
  const bool fits = wanted <= given.cell_cpus &&
                    (given.cell_memory <= 0 || problem_.demand[guest][index(Resource::memory)] <= given.cell_memory);
  return fits ? 0 : 1;
}

void RuleState::count(GuestIndex guest, HostIndex host, int by) {
  guests_on_[host] += static_cast<std::uint32_t>(by);
  soft_places_ += by * numa(guest, host);
  for (const auto rule : problem_.rules_of.of(guest)) {
    const auto kind = problem_.cluster.rules[rule].kind;
    if (is_place(kind)) {
      if (!problem_.allows(rule, host)) soft_places_ += by * problem_.cluster.rules[rule].weight;
      continue;
    }
    auto& counts = counts_[rule];
    const auto domain = domain_of(rule, host);
    auto found = std::lower_bound(counts.in.begin(), counts.in.end(), domain,
                                  [](const Count& c, std::uint32_t d) { return c.domain < d; });
    if (found == counts.in.end() || found->domain != domain) {
      found = counts.in.insert(found, Count{domain, 0});
      if (kind == RuleKind::exclusive) exclusive_on_[host].push_back(rule);
    }
    found->guests += static_cast<std::uint32_t>(by);
    counts.placed += static_cast<std::uint32_t>(by);
    if (found->guests > 0) continue;
    counts.in.erase(found);
    if (kind == RuleKind::exclusive) std::erase(exclusive_on_[host], rule);
  }
}

void RuleState::add(GuestIndex guest, HostIndex host) { count(guest, host, 1); }
void RuleState::remove(GuestIndex guest, HostIndex host) { count(guest, host, -1); }

double RuleState::change_of(std::uint32_t rule, HostIndex from, HostIndex to) const {
  const auto& counts = counts_[rule];
  const auto out = from == kNowhere ? kNowhere : domain_of(rule, from);
  const auto in = to == kNowhere ? kNowhere : domain_of(rule, to);
  if (out == in) return 0;
  if (problem_.cluster.rules[rule].kind == RuleKind::apart) {
    double change = 0;
    if (out != kNowhere && members(rule, out) > 1) change -= 1;
    if (in != kNowhere && members(rule, in) > 0) change += 1;
    return change;
  }
  std::uint32_t most = 0;
  std::uint32_t most_then = in == kNowhere ? 0 : 1;
  for (const auto& count : counts.in) {
    most = std::max(most, count.guests);
    const auto then = count.guests + (count.domain == in ? 1u : 0u) - (count.domain == out ? 1u : 0u);
    most_then = std::max(most_then, then);
  }
  const double placed_then = counts.placed + (in == kNowhere ? 0.0 : 1.0) - (out == kNowhere ? 0.0 : 1.0);
  return (placed_then - most_then) - (static_cast<double>(counts.placed) - most);
}

// Of exclusive rules: the guest's own and those of the guests it meets.
void RuleState::exclusive_change(GuestIndex guest, HostIndex from, HostIndex to,
                                 const std::vector<std::uint8_t>* left_out, RuleCost& cost) const {
  const auto pay = [&](std::uint32_t rule, double amount) {
    if (left_out != nullptr && (*left_out)[rule]) return;
    const auto& given = problem_.cluster.rules[rule];
    (given.hard ? cost.hard : cost.soft) += given.hard ? amount : amount * given.weight;
    cost.breaks = cost.breaks || (given.hard && amount > 0);
  };
  for (const auto& [host, sign] : {std::pair{from, -1.0}, std::pair{to, 1.0}}) {
    if (host == kNowhere) continue;
    for (const auto rule : exclusive_on_[host]) {
      if (!is_member(guest, rule)) pay(rule, sign);
    }
    for (const auto rule : problem_.rules_of.of(guest)) {
      if (problem_.cluster.rules[rule].kind != RuleKind::exclusive) continue;
      const auto there = members(rule, host);
      const bool alone = sign < 0 ? there == 1 : there == 0;
      const auto others = guests_on_[host] - there;
      if (alone) pay(rule, sign * others);
    }
  }
}

RuleCost RuleState::change(GuestIndex guest, HostIndex from, HostIndex to,
                           const std::vector<std::uint8_t>* left_out) const {
  RuleCost cost;
  if (from == to) return cost;
  if (to != kNowhere) cost.soft += numa(guest, to);
  if (from != kNowhere) cost.soft -= numa(guest, from);
  for (const auto rule : problem_.rules_of.of(guest)) {
    const auto& given = problem_.cluster.rules[rule];
    if (given.kind == RuleKind::exclusive || (left_out != nullptr && (*left_out)[rule])) continue;
    if (is_place(given.kind)) {
      if (to != kNowhere && !problem_.allows(rule, to)) cost.soft += given.weight;
      if (from != kNowhere && !problem_.allows(rule, from)) cost.soft -= given.weight;
      continue;
    }
    const auto change = change_of(rule, from, to);
    (given.hard ? cost.hard : cost.soft) += given.hard ? change : change * given.weight;
    cost.breaks = cost.breaks || (given.hard && change > 0);
  }
  if (problem_.any_exclusive) exclusive_change(guest, from, to, left_out, cost);
  return cost;
}

double RuleState::violation(std::uint32_t rule) const {
  const auto& counts = counts_[rule];
  double violation = 0;
  switch (problem_.cluster.rules[rule].kind) {
    case RuleKind::together: {
      std::uint32_t most = 0;
      for (const auto& count : counts.in) most = std::max(most, count.guests);
      return static_cast<double>(counts.placed - most);
    }
    case RuleKind::apart:
      for (const auto& count : counts.in) violation += count.guests - 1;
      return violation;
    case RuleKind::exclusive:
      for (const auto& count : counts.in) violation += guests_on_[count.domain] - count.guests;
      return violation;
    case RuleKind::on_hosts:
    case RuleKind::off_hosts: break;
  }
  return 0;
}

RuleCost RuleState::total() const {
  RuleCost cost{0, soft_places_};
  for (std::uint32_t rule = 0; rule < counts_.size(); ++rule) {
    const auto& given = problem_.cluster.rules[rule];
    (given.hard ? cost.hard : cost.soft) += given.hard ? violation(rule) : violation(rule) * given.weight;
  }
  return cost;
}

}  // namespace bridgehead::scheduler
