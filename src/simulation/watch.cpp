#include "simulation/watch.h"

#include <algorithm>

namespace bridgehead::simulation {

using scheduler::HostPower;
using scheduler::Resource;
using scheduler::RuleKind;

namespace {

constexpr std::size_t kMostTold = 100;
constexpr double kLongWithoutReason = 120;  // seconds that a belief may be behind the truth

}  // namespace

Watch::Watch(const Scenario& scenario, World& world, Control& control, const Agenda& agenda)
    : world_(world),
      control_(control),
      agenda_(agenda),
      most_moves_(scenario.policy.moves_per_host),
      rules_of_(world.guests.size()) {
  GuestId next = 0;
  HostId next_host = 0;
  for (const auto& wish : scenario.rules) {
    for (std::size_t group = 0; group < wish.groups; ++group) {
      RuleMembers rule{.wish = &wish};
      for (std::size_t i = 0; i < wish.size && next < world.guests.size(); ++i) rule.guests.push_back(next++);
      if (wish.kind == RuleKind::on_hosts || wish.kind == RuleKind::off_hosts) {
        for (std::size_t h = 0; h < wish.hosts; ++h) {
          rule.hosts.push_back(static_cast<HostId>((next_host + h) % world.hosts.size()));
        }
        next_host = static_cast<HostId>((next_host + wish.hosts) % world.hosts.size());
      }
      if (!wish.hard) continue;
      const auto number = static_cast<std::uint32_t>(rules_.size());
      for (const auto guest : rule.guests) rules_of_[guest].push_back(number);
      if (wish.kind == RuleKind::exclusive) exclusive_.push_back(number);
      rules_.push_back(std::move(rule));
    }
  }
  world_.on_run = [this](GuestId guest, HostId host) { on_run(guest, host); };
  control_.on_order = [this](const Order& order) { on_order(order); };
  control_.on_snapshot = [this](const scheduler::Cluster& cluster) { on_snapshot(cluster); };
  control_.on_plan = [this](const auto& cluster, const auto& plan) { on_plan(cluster, plan); };
}

void Watch::wrong(std::string invariant, std::string what) {
  if (violations_.size() < kMostTold) violations_.push_back({agenda_.now(), std::move(invariant), std::move(what)});
}

void Watch::on_run(GuestId guest, HostId host) {
  ++checks_;
  const auto& on = world_.guests[guest].runs_on;
  if (on.size() > 1) {
    wrong("one_writer", fmt::format("{} runs on {} and on {}", world_.name(guest), world_.hosts[on.front()].name,
                                    world_.hosts[host].name));
  }
}

void Watch::on_order(const Order& order) {
  ++checks_;
  const auto& to = world_.hosts[order.to];
  if (order.kind == Order::Kind::wake) return;
  if (to.power != HostPower::on || (!world_.heard(order.to) && agenda_.now() - to.silent_since > 0)) {
    wrong("power", fmt::format("an order to {}, which is not on or not heard", to.name));
  }
  if (order.kind == Order::Kind::sleep) {
    const bool work = std::any_of(world_.works.begin(), world_.works.end(),
                                  [&](const auto& one) { return one.second.order.to == order.to; });
    if (!to.guests.empty() || work) {
      wrong("power", fmt::format("{} is told to sleep with {} guests", to.name, to.guests.size()));
    }
    return;
  }
  if (order.token <= world_.guests[order.guest].highest_token) {
    wrong("lease", fmt::format("{} gets lease {} after {}", world_.name(order.guest), order.token,
                               world_.guests[order.guest].highest_token));
  }
  if (order.kind == Order::Kind::move) {
    if (!world_.heard(order.from)) {
      wrong("power", fmt::format("a move away from {}, which isn't heard", world_.hosts[order.from].name));
    }
    for (const auto end : {order.from, order.to}) {
      if (world_.hosts[end].moves + 1 > most_moves_) {
        wrong("moves", fmt::format("{} has {} moves under way, {} are allowed", world_.hosts[end].name,
                                   world_.hosts[end].moves + 1, most_moves_));
      }
    }
  }
  check_capacity(order);
  check_rules(order);
}

void Watch::check_capacity(const Order& order) {
  const auto& host = world_.hosts[order.to];
  const auto& guest = *world_.guests[order.guest].trace;
  for (const auto& [resource, more, word] : {std::tuple{Resource::vcpus, guest.vcpus, "virtual CPUs"},
                                             std::tuple{Resource::memory, guest.memory, "memory"}}) {
    const auto r = static_cast<std::size_t>(resource);
    if (host.taken[r] + more > host.limits[r]) {
      wrong("capacity", fmt::format("{} gets {} and then has {:.0f} of {:.0f} {} promised", host.name,
                                    world_.name(order.guest), host.taken[r] + more, host.limits[r], word));
    }
  }
}

// Where a guest runs and where it is on its way to.
std::vector<HostId> Watch::places_of(GuestId guest) const {
  auto places = world_.guests[guest].runs_on;
  if (const auto* work = world_.work_for(guest)) places.push_back(work->order.to);
  return places;
}

bool Watch::same_domain(const RuleWishes& wish, HostId a, HostId b) const {
  return wish.domain == scheduler::Domain::host ? a == b : world_.hosts[a].rack == world_.hosts[b].rack;
}

void Watch::check_rules(const Order& order) {
  for (const auto number : rules_of_[order.guest]) check_rule(rules_[number], order);
  if (exclusive_.empty()) return;
  auto there = world_.hosts[order.to].guests;
  for (const auto& [id, work] : world_.works) {
    if (work.order.to == order.to) there.push_back(work.order.guest);
  }
  for (const auto number : exclusive_) {
    const auto& rule = rules_[number];
    const bool member = std::find(rule.guests.begin(), rule.guests.end(), order.guest) != rule.guests.end();
    for (const auto other : there) {
      const bool other_is = std::find(rule.guests.begin(), rule.guests.end(), other) != rule.guests.end();
      if (other != order.guest && other_is != member && (other_is || member)) {
        wrong("rules", fmt::format("{} and {} are both on {}, which is to be exclusive", world_.name(order.guest),
                                   world_.name(other), world_.hosts[order.to].name));
        return;
      }
    }
  }
}

void Watch::check_rule(const RuleMembers& rule, const Order& order) {
  const auto& wish = *rule.wish;
  const auto says = [&](std::string_view what) {
    wrong("rules", fmt::format("{} to {}: {}", world_.name(order.guest), world_.hosts[order.to].name, what));
  };
  if (wish.kind == RuleKind::on_hosts || wish.kind == RuleKind::off_hosts) {
    const bool named = std::find(rule.hosts.begin(), rule.hosts.end(), order.to) != rule.hosts.end();
    if (named != (wish.kind == RuleKind::on_hosts)) says("a host that it must not be on");
    return;
  }
  // Those who are together can only move one after the other; on_plan() sees to it that all of them are meant to.
  if (wish.kind != RuleKind::apart) return;
  for (const auto other : rule.guests) {
    if (other == order.guest) continue;
    for (const auto place : places_of(other)) {
      const bool near = same_domain(wish, place, order.to);
      const bool was_near = order.from != kNone && same_domain(wish, place, order.from);
      if (near && !was_near) return says(fmt::format("{} is there, both are to be apart", world_.name(other)));
    }
  }
}

// What was together is together again when all is done.
void Watch::on_plan(const scheduler::Cluster& cluster, const scheduler::Plan& plan) {
  ++checks_;
  std::vector<HostId> before, after;
  for (const auto& guest : cluster.guests) before.push_back(guest.host);
  for (const auto& move : cluster.moves) before[move.guest] = move.to;
  after = before;
  for (const auto& action : plan.actions) {
    if (action.guest != kNone) after[action.guest] = action.to;
  }
  const auto whole = [&](const scheduler::Rule& rule, const std::vector<HostId>& places) {
    HostId first = kNone;
    for (const auto guest : rule.guests) {
      const auto place = places[guest];
      if (place == kNone) continue;
      if (first == kNone) first = place;
      const bool near = rule.domain == scheduler::Domain::host ? place == first
                                                               : cluster.hosts[place].rack == cluster.hosts[first].rack;
      if (!near) return false;
    }
    return true;
  };
  for (const auto& rule : cluster.rules) {
    if (rule.hard && rule.kind == RuleKind::together && whole(rule, before) && !whole(rule, after)) {
      wrong("rules", fmt::format("a plan parts the guests of {}, which are to be together", rule.name));
    }
  }
}

void Watch::on_snapshot(const scheduler::Cluster& cluster) {
  ++checks_;
  std::size_t there = 0;
  for (const auto& guest : world_.guests) there += guest.there ? 1 : 0;
  if (cluster.guests.size() != there) {
    wrong("nothing_lost",
          fmt::format("the planner is told of {} guests, but {} are there", cluster.guests.size(), there));
  }
}

void Watch::step() {
  ++checks_;
  for (const auto& host : world_.hosts) {
    for (const auto resource : {Resource::vcpus, Resource::memory}) {
      const auto r = static_cast<std::size_t>(resource);
      if (host.taken[r] > host.limits[r]) {
        wrong("capacity", fmt::format("{} has {:.0f} of {:.0f} promised", host.name, host.taken[r], host.limits[r]));
      }
    }
    if (host.power != HostPower::on && !host.guests.empty()) {
      wrong("power", fmt::format("{} guests run on {}, which isn't on", host.guests.size(), host.name));
    }
    if (host.moves > most_moves_) {
      wrong("moves", fmt::format("{} has {} moves under way, {} are allowed", host.name, host.moves, most_moves_));
    }
  }
  for (GuestId id = 0; id < world_.guests.size(); ++id) {
    const auto& guest = world_.guests[id];
    const auto& record = control_.records[id];
    if (guest.runs_on.size() > 1) wrong("one_writer", fmt::format("{} runs on two hosts", world_.name(id)));
    if (guest.there != (record.phase != Phase::absent)) {
      wrong("nothing_lost", fmt::format("{} {}", world_.name(id), guest.there ? "isn't known" : "was to be gone"));
    }
    // What the manager takes for running runs there, unless the host is silent or this is quite new.
    if (record.phase == Phase::running && world_.heard(record.host) && !world_.runs(id, record.host) &&
        agenda_.now() - record.since > kLongWithoutReason && control_.up()) {
      wrong("nothing_lost",
            fmt::format("{} is taken for running on {}, but isn't", world_.name(id), world_.hosts[record.host].name));
    }
    if (record.phase == Phase::waiting && !guest.runs_on.empty()) {
      wrong("one_writer", fmt::format("{} is about to be started, but runs on {}", world_.name(id),
                                      world_.hosts[guest.runs_on.front()].name));
    }
  }
}

}  // namespace bridgehead::simulation
