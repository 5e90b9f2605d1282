#include "scheduler/problem.h"

#include <algorithm>
#include <limits>
#include <map>

namespace bridgehead::scheduler {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

std::uint32_t domain_id(std::map<std::string, std::uint32_t>& known, const std::string& name) {
  return known.try_emplace(name, static_cast<std::uint32_t>(known.size())).first->second;
}

bool includes(const std::vector<std::uint32_t>& all, const std::vector<std::uint32_t>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace

Lists make_lists(std::size_t count, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& pairs) {
  Lists lists{std::vector<std::uint32_t>(count + 1), std::vector<std::uint32_t>(pairs.size())};
  for (const auto& [list, item] : pairs) ++lists.starts[list + 1];
  for (std::size_t i = 0; i < count; ++i) lists.starts[i + 1] += lists.starts[i];
  auto next = lists.starts;
  for (const auto& [list, item] : pairs) lists.items[next[list]++] = item;
  return lists;
}

Problem::Problem(const Cluster& cluster_, const Policy& policy_, Timestamp now_)
    : cluster(cluster_), policy(policy_), now(now_) {
  consolidates = policy.consolidate != Mode::off;
  switches = policy.power != Mode::off;
  compile_hosts();
  compile_guests();
  compile_rules();
  compile_classes();
}

void Problem::compile_hosts() {
  const auto count = cluster.hosts.size();
  limit.resize(count);
  room.resize(count);
  part.resize(count);
  for (const auto& host : cluster.hosts) {
    const bool on = host.power == HostPower::on;
    runs.push_back(on && host.ready);
    takes.push_back(on && host.ready && host.open && !host.evacuate);
    can_wake.push_back(switches && host.power_model.can_be_switched && host.open && !host.evacuate &&
                       (host.power == HostPower::asleep || host.power == HostPower::off));
  }
  for (std::size_t h = 0; h < count; ++h) {
    for (std::size_t r = 0; r < kResources; ++r) {
      const double given = cluster.hosts[h].limits[r];
      const bool unlimited = given <= 0 && !is_promised(r);
      limit[h][r] = unlimited ? kInfinite : given;
      room[h][r] = unlimited ? kInfinite : is_promised(r) ? given : given * policy.ceiling;
      part[h][r] = unlimited || given <= 0 ? 0 : 1 / given;
    }
  }
  std::map<std::string, std::uint32_t> racks;
  std::map<std::string, std::uint32_t> feeds;
  for (std::size_t h = 0; h < count; ++h) {
    const auto& host = cluster.hosts[h];
    const auto own = "\n" + std::to_string(h);  // no name has a line break
    domain[0].push_back(static_cast<std::uint32_t>(h));
    domain[1].push_back(domain_id(racks, host.rack.empty() ? own : host.rack));
    domain[2].push_back(domain_id(feeds, host.power_feed.empty() ? own : host.power_feed));
  }
}

void Problem::compile_guests() {
  const auto count = cluster.guests.size();
  std::vector<std::uint8_t> asked(kResources);
  left.assign(count, kNowhere);
  // A move changes the objective of a cluster by one part in so many; so its price is one.
  const auto hosts_that_share = static_cast<double>(std::max<std::size_t>(1, hosts()));
  for (const auto& guest : cluster.guests) {
    demand.push_back(guest.demand);
    home.push_back(guest.host);
    movable.push_back(guest.may_move && (guest.host == kNowhere || runs[guest.host]));
    at_leisure.push_back(movable.back() && guest.moves_of_a_day < kMostMovesInADay);
    constexpr double kLongCopy = 60;  // a copy of a minute doubles the price, and so does a pause of a second
    // Those that can be moved again in the evening are to be the ones that are moved in the morning.
    constexpr double kMovedBefore = 4;
    cost.push_back(guest.move_cost *
                   (1 + guest.memory_to_copy / std::max(policy.link, 1.0) / kLongCopy + guest.downtime.count()) *
                   (1 + kMovedBefore * guest.moves_of_a_day));
    price.push_back(policy.move_price * cost.back() / hosts_that_share);
    for (std::size_t r = 0; r < kResources; ++r) {
      asked[r] |= guest.demand[r] > 0;
      demanded[r] += guest.demand[r];
    }
  }
  for (const auto& move : cluster.moves) {
    left[move.guest] = home[move.guest] == move.to ? kNowhere : home[move.guest];
    home[move.guest] = move.to;
    movable[move.guest] = at_leisure[move.guest] = false;
    if (left[move.guest] == kNowhere) continue;
    for (std::size_t r = 0; r < kResources; ++r) room[left[move.guest]][r] -= demand[move.guest][r];
  }
  for (std::size_t r = 0; r < kResources; ++r) {
    const bool limited = std::any_of(part.begin(), part.end(), [&](const Amounts& a) { return a[r] > 0; });
    if (asked[r] && limited && policy.weights[r] > 0) resources.push_back(r);
  }
}

void Problem::compile_rules() {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> others;
  rule_hosts_.resize(cluster.rules.size());
  for (std::uint32_t i = 0; i < cluster.rules.size(); ++i) {
    const auto& rule = cluster.rules[i];
    const bool place = rule.kind == RuleKind::on_hosts || rule.kind == RuleKind::off_hosts;
    if (place) {
      rule_hosts_[i].assign(hosts(), false);
      for (const auto host : rule.hosts) rule_hosts_[i][host] = true;
    }
    any_exclusive = any_exclusive || rule.kind == RuleKind::exclusive;
    for (const auto guest : rule.guests) (place && rule.hard ? places : others).emplace_back(guest, i);
  }
  place_rules_ = make_lists(guests(), places);
  rules_of = make_lists(guests(), others);
}

void Problem::compile_classes() {
  using Needs = std::tuple<std::vector<std::uint32_t>, std::vector<std::uint32_t>, std::uint32_t>;
  std::map<Needs, std::uint32_t> offers;
  std::map<Needs, std::uint32_t> needs;
  for (const auto& host : cluster.hosts) {
    const auto next = static_cast<std::uint32_t>(offers.size());
    host_class_.push_back(offers.try_emplace({host.pools, host.networks, host.cpu_features}, next).first->second);
  }
  for (const auto& guest : cluster.guests) {
    const auto next = static_cast<std::uint32_t>(needs.size());
    guest_class_.push_back(needs.try_emplace({guest.pools, guest.networks, guest.cpu_features}, next).first->second);
  }
  host_classes_ = offers.size();
  compatible_.resize(offers.size() * needs.size());
  for (const auto& [need, guest_class] : needs) {
    for (const auto& [offer, host_class] : offers) {
      const auto wanted = std::get<2>(need);
      const auto given = std::get<2>(offer);
      const auto& sets = cluster.cpu_features;
      const bool features = wanted == kNowhere || wanted == given ||
                            (given < sets.size() && std::includes(sets[given].begin(), sets[given].end(),
                                                                  sets[wanted].begin(), sets[wanted].end()));
      compatible_[guest_class * host_classes_ + host_class] = features &&
                                                              includes(std::get<0>(offer), std::get<0>(need)) &&
                                                              includes(std::get<1>(offer), std::get<1>(need));
    }
  }
}

bool Problem::allowed_by_rules(GuestIndex guest, HostIndex host) const {
  const auto rules = place_rules_.of(guest);
  return std::all_of(rules.begin(), rules.end(), [&](std::uint32_t rule) { return allows(rule, host); });
}

}  // namespace bridgehead::scheduler
