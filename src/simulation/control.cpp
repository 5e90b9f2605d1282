#include "simulation/control.h"

#include <algorithm>

namespace bridgehead::simulation {

using scheduler::ActionKind;
using scheduler::HostPower;
using scheduler::Mode;
using scheduler::Resource;

namespace {

constexpr double kLeaseMargin = 5;  // that clocks may differ
constexpr double kSettle = 1;       // after an order it is looked at what became of it
constexpr double kPlanSoonest = 30;

Mode only_if_automatic(Mode mode) { return mode == Mode::automatic ? mode : Mode::off; }

}  // namespace

Control::Control(const Scenario& scenario, World& world, Agenda& agenda, Log& log, Planner planner, Hooks hooks)
    : usage(world.guests.size()),
      records(world.guests.size()),
      moves_of(world.guests.size()),
      scenario_(scenario),
      world_(world),
      agenda_(agenda),
      log_(log),
      planner_(std::move(planner)),
      hooks_(std::move(hooks)),
      policy_(scenario.policy),
      moves_(world.hosts.size()),
      starts_(world.hosts.size()),
      guests_on_(world.hosts.size()),
      planned_as_(world.guests.size(), kNone) {
  moved_.resize(world.guests.size());
  for (auto& times : moved_) times.fill(-1e9);
  for (auto* mode : {&policy_.repair, &policy_.balance, &policy_.consolidate, &policy_.power}) {
    *mode = only_if_automatic(*mode);
  }
  world_.on_heard = [this](HostId host) { heard(host); };
  world_.on_silent = [this](HostId host) { silent(host); };
  world_.on_work_over = [this](const Work& work) { work_over(work); };
}

Timestamp Control::now() const {
  return scenario_.begin + std::chrono::milliseconds(static_cast<std::int64_t>(agenda_.now() * 1000));
}

// --- what is believed ---

void Control::count(const Record& record, int sign) {
  const auto add = [&](std::uint32_t& counter) {
    counter = static_cast<std::uint32_t>(static_cast<int>(counter) + sign);
  };
  if (record.phase == Phase::absent || record.phase == Phase::waiting) return;
  add(guests_on_[record.host]);
  if (record.phase == Phase::starting) add(starts_[record.host]);
  if (record.phase != Phase::moving) return;
  add(guests_on_[record.to]);
  add(moves_[record.host]);
  add(moves_[record.to]);
}

void Control::set(GuestId guest, Phase phase, HostId host, HostId to) {
  auto& record = records[guest];
  count(record, -1);
  record = {phase, host, to, agenda_.now()};
  count(record, 1);
}

void Control::arrive(GuestId guest) {
  set(guest, Phase::waiting);
  plan_soon();
}

void Control::leave(GuestId guest) { set(guest, Phase::absent); }

// What has become of a guest, as far as those say that are heard.
void Control::settle(GuestId guest) {
  const auto record = records[guest];
  if (record.phase == Phase::absent || record.phase == Phase::waiting) return;
  if (const auto* work = world_.work_for(guest);
      work != nullptr &&
      (world_.heard(work->order.to) || (work->order.from != kNone && world_.heard(work->order.from)))) {
    return;
  }
  const auto runs = [&](HostId host) { return world_.heard(host) && world_.runs(guest, host); };
  if (record.phase == Phase::moving) {
    if (runs(record.to)) return set(guest, Phase::running, record.to);
    if (runs(record.host)) return set(guest, Phase::running, record.host);
    if (!world_.heard(record.to) && !world_.heard(record.host)) return;
    if (!world_.heard(record.to)) return set(guest, Phase::running, record.to);
    if (!world_.heard(record.host)) return set(guest, Phase::running, record.host);
  } else {
    if (!world_.heard(record.host)) return;
    if (runs(record.host)) {
      if (record.phase == Phase::starting) set(guest, Phase::running, record.host);
      return;
    }
  }
  log_.line("{} doesn't run any more", world_.name(guest));
  set(guest, Phase::waiting);
  plan_soon();
}

void Control::heard(HostId host) {
  if (!up_) return;
  for (GuestId guest = 0; guest < records.size(); ++guest) {
    if (records[guest].host == host || records[guest].to == host) settle(guest);
  }
  advance();
}

void Control::silent(HostId host) {
  const double lease = scenario_.lease.count() + kLeaseMargin;
  agenda_.after(hooks_.patience ? hooks_.patience(lease) : lease,
                [this, host, silence = world_.hosts[host].silences, life = lives_] {
                  if (!up_ || life != lives_ || world_.heard(host) || world_.hosts[host].silences != silence) return;
                  lease_over(host);
                });
  if (!up_) return;
  plan_soon();
}

// Whatever was given to this host has ended by itself, or ended with it.
void Control::lease_over(HostId host) {
  log_.line("leases of {} are over", world_.hosts[host].name);
  for (GuestId guest = 0; guest < records.size(); ++guest) {
    const auto record = records[guest];
    if (record.phase == Phase::absent || record.phase == Phase::waiting) continue;
    if (record.host != host && record.to != host) continue;
    if (record.phase == Phase::moving) {
      const auto other = record.host == host ? record.to : record.host;
      if (!world_.heard(other)) {
        set(guest, Phase::running, other);
        continue;
      }
      if (world_.runs(guest, other)) {
        set(guest, Phase::running, other);
        continue;
      }
    }
    set(guest, Phase::waiting);
  }
  plan_soon();
}

void Control::work_over(const Work& work) {
  if (!up_) return;
  settle(work.order.guest);
  advance();
}

void Control::stop() {
  up_ = false;
  pending_.clear();
  log_.line("the manager stops");
}

// All that it knows again is in its store (records) and with its agents.
void Control::restart() {
  up_ = true;
  ++lives_;
  ++counts.restarts;
  plan_is_due_ = false;
  wanted_since_.reset();
  log_.line("the manager starts");
  for (GuestId guest = 0; guest < records.size(); ++guest) settle(guest);
  for (HostId host = 0; host < world_.hosts.size(); ++host) {
    const bool should_be_on = world_.hosts[host].power == HostPower::on;
    if (should_be_on && !world_.heard(host)) silent(host);
  }
  plan_soon();
}

void Control::tick() {
  if (agenda_.now() - last_plan_ >= scenario_.plan_every.count() - 0.5) plan();
}

// --- planning ---

void Control::plan_soon() {
  if (plan_is_due_ || !up_) return;
  plan_is_due_ = true;
  const double soonest = std::min(kPlanSoonest, scenario_.plan_every.count());
  agenda_.at(std::max(agenda_.now() + kSettle, last_plan_ + soonest), [this, life = lives_] {
    if (life != lives_ || !plan_is_due_) return;
    plan();
  });
}

scheduler::Cluster Control::snapshot() {
  scheduler::Cluster cluster;
  cluster.pools = {"shared"};
  const auto interval = interval_of(now());
  for (HostId id = 0; id < world_.hosts.size(); ++id) {
    const auto& truth = world_.hosts[id];
    scheduler::Host host;
    host.id = host.name = truth.name;
    host.rack = truth.rack;
    host.limits = truth.limits;
    host.pools = {0};
    host.power = truth.power;
    host.power_model = truth.model;
    host.power_since = scenario_.begin + std::chrono::milliseconds(static_cast<std::int64_t>(truth.power_since * 1000));
    const bool should_be_heard = truth.power == HostPower::on;
    host.ready = !should_be_heard || world_.heard(id);
    if (!host.ready) host.why_not = "doesn't answer";
    cluster.hosts.push_back(std::move(host));
  }
  planned_guests_.clear();
  for (GuestId id = 0; id < records.size(); ++id) {
    const auto& record = records[id];
    planned_as_[id] = kNone;
    if (record.phase == Phase::absent) continue;
    planned_as_[id] = static_cast<std::uint32_t>(planned_guests_.size());
    const auto& trace = *world_.guests[id].trace;
    scheduler::Guest guest;
    guest.id = guest.name = trace.name;
    guest.host = record.phase == Phase::waiting ? kNone : record.host;
    guest.demand[index(Resource::vcpus)] = trace.vcpus;
    guest.demand[index(Resource::memory)] = trace.memory;
    guest.demand[index(Resource::cpu_used)] = usage.expected(id, interval, policy_.horizon);
    guest.demand[index(Resource::memory_used)] = trace.memory * 0.6;
    guest.memory_to_copy = trace.memory * 0.75;
    guest.pools = {0};
    if (record.phase == Phase::starting) {
      guest.may_move = false;
      guest.why_not = "starts";
    }
    guest.moves_of_a_day = moves_of_a_day(id);
    if (record.phase == Phase::moving) cluster.moves.push_back({planned_as_[id], record.to});
    planned_guests_.push_back(id);
    cluster.guests.push_back(std::move(guest));
  }
  add_rules(cluster);
  for (const double cpus : usage.expected_total(planned_guests_, interval, cluster.forecast_step)) {
    scheduler::Amounts amounts{};
    for (const auto& guest : cluster.guests) {
      for (const auto resource : {Resource::vcpus, Resource::memory, Resource::memory_used}) {
        amounts[index(resource)] += cluster.forecast.empty() ? guest.demand[index(resource)] : 0;
      }
    }
    if (!cluster.forecast.empty()) amounts = cluster.forecast.front();
    amounts[index(Resource::cpu_used)] = cpus;
    cluster.forecast.push_back(amounts);
  }
  return cluster;
}

std::uint32_t Control::moves_of_a_day(GuestId guest) const {
  constexpr double kDay = 86400;
  return static_cast<std::uint32_t>(
      std::count_if(moved_[guest].begin(), moved_[guest].end(), [&](double at) { return agenda_.now() - at < kDay; }));
}

void Control::add_rules(scheduler::Cluster& cluster) const {
  GuestId next = 0;
  HostId next_host = 0;
  for (std::size_t i = 0; i < scenario_.rules.size(); ++i) {
    const auto& wish = scenario_.rules[i];
    for (std::size_t group = 0; group < wish.groups; ++group) {
      scheduler::Rule rule;
      rule.name = fmt::format("rule{}-{}", i + 1, group + 1);
      rule.kind = wish.kind;
      rule.domain = wish.domain;
      rule.hard = wish.hard;
      rule.weight = wish.weight;
      for (std::size_t member = 0; member < wish.size && next < planned_as_.size(); ++member, ++next) {
        if (planned_as_[next] != kNone) rule.guests.push_back(planned_as_[next]);
      }
      if (wish.kind == scheduler::RuleKind::on_hosts || wish.kind == scheduler::RuleKind::off_hosts) {
        for (std::size_t h = 0; h < wish.hosts; ++h) {
          rule.hosts.push_back(static_cast<HostId>((next_host + h) % cluster.hosts.size()));
        }
        std::sort(rule.hosts.begin(), rule.hosts.end());
        next_host = static_cast<HostId>((next_host + wish.hosts) % cluster.hosts.size());
      }
      if (!rule.guests.empty()) cluster.rules.push_back(std::move(rule));
    }
  }
}

// Like the product's automatic planner: what is urgent (repairs, hosts that are needed, hosts that get too busy) at
// once; all else when an earlier plan is done and there has been something to do for as long as the policy says, so
// that a load that lasts is acted on and not noise.
void Control::plan() {
  if (!up_) return;
  plan_is_due_ = false;
  last_plan_ = agenda_.now();
  advance();
  auto cluster = snapshot();
  if (hooks_.snapshot) hooks_.snapshot(cluster);
  on_snapshot(cluster);
  auto urgent = policy_;
  urgent.urgent_only = true;
  if (const auto plan = make_plan(cluster, urgent); !plan.actions.empty()) return take(plan);
  const bool more = policy_.balance != Mode::off || policy_.consolidate != Mode::off || policy_.power != Mode::off;
  if (!more || is_busy()) return;
  // Whether there is anything to do is known without the search for the best.
  const bool lasted = wanted_since_ && agenda_.now() - *wanted_since_ >= scenario_.sustained.count();
  auto leisurely = policy_;
  if (!lasted) leisurely.effort = 0;
  const auto plan = make_plan(cluster, leisurely);
  if (plan.actions.empty() || lasted) wanted_since_.reset();
  if (plan.actions.empty()) return;
  if (lasted || scenario_.sustained.count() <= 0) return take(plan);
  if (!wanted_since_) wanted_since_ = agenda_.now();
}

scheduler::Plan Control::make_plan(const scheduler::Cluster& cluster, const scheduler::Policy& policy) {
  ++counts.plans;
  // Real time, for the report only; nothing depends on it.
  const auto started = std::chrono::steady_clock::now();
  auto plan = planner_(cluster, policy, now(), scenario_.seed + counts.plans);
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  counts.planning_seconds += took;
  counts.longest_planning = std::max(counts.longest_planning, took);
  if (hooks_.plan) hooks_.plan(plan, cluster);
  on_plan(cluster, plan);
  if (!plan.actions.empty() || !plan.conflicts.empty()) {
    log_.line("plan {}: {} actions, {} conflicts, gap {:.4f}, hosts on {:.0f} -> {:.0f}", counts.plans,
              plan.actions.size(), plan.conflicts.size(), plan.gap, plan.before.hosts_on, plan.after.hosts_on);
  }
  return plan;
}

// --- executing ---

// What has begun goes on; of the old plan the rest is void.
void Control::take(const scheduler::Plan& plan) {
  pending_.clear();
  for (const auto& action : plan.actions) {
    Pending pending{.action = action};
    if (action.kind == ActionKind::place || action.kind == ActionKind::move) {
      pending.guest = planned_guests_.at(action.guest);
      pending.from = action.kind == ActionKind::move ? records[pending.guest].host : kNone;
    }
    pending_.push_back(std::move(pending));
  }
  advance();
}

bool Control::still_makes_sense(const Pending& pending) const {
  const auto& action = pending.action;
  const auto& host = world_.hosts[action.to];
  switch (action.kind) {
    case ActionKind::place: return records[pending.guest].phase == Phase::waiting && world_.heard(action.to);
    case ActionKind::move:
      return records[pending.guest].phase == Phase::running && records[pending.guest].host == pending.from &&
             world_.heard(pending.from) && world_.heard(action.to);
    case ActionKind::wake: return host.power == HostPower::asleep || host.power == HostPower::off;
    case ActionKind::sleep: return guests_on_[action.to] == 0 && world_.heard(action.to);
  }
  return false;
}

bool Control::may_begin(const Pending& pending) const {
  const auto& action = pending.action;
  for (const auto other : action.after) {
    if (pending_[other].state != State::over) return false;
  }
  if (action.kind == ActionKind::place) return starts_[action.to] < scenario_.starts_per_host;
  if (action.kind != ActionKind::move) return true;
  const auto most = policy_.moves_per_host + hooks_.more_moves;
  return moves_[pending.from] < most && moves_[action.to] < most;
}

bool Control::is_over(const Pending& pending) const {
  const auto& action = pending.action;
  if (action.kind == ActionKind::place || action.kind == ActionKind::move) {
    const auto& record = records[pending.guest];
    return record.phase == Phase::running && record.host == action.to;
  }
  return action.kind == ActionKind::sleep || world_.heard(action.to);
}

bool Control::is_under_way(const Pending& pending) const {
  const auto& action = pending.action;
  if (action.kind == ActionKind::wake) return world_.hosts[action.to].power == HostPower::waking;
  const auto phase = records[pending.guest].phase;
  return phase == Phase::starting || phase == Phase::moving;
}

bool Control::is_busy() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](const auto& pending) { return !pending.dropped && pending.state != State::over; });
}

void Control::advance() {
  bool again = true;
  while (again) {
    again = false;
    for (auto& pending : pending_) {
      if (pending.state == State::begun && is_over(pending)) {
        pending.state = State::over;
        again = true;
      } else if (pending.state == State::begun && !pending.dropped && !is_under_way(pending)) {
        pending.dropped = true;  // it came to nothing
        again = true;
      }
      if (pending.state != State::open || pending.dropped) continue;
      const auto& after = pending.action.after;
      const bool in_vain = std::any_of(after.begin(), after.end(), [&](auto other) { return pending_[other].dropped; });
      if (!in_vain && !may_begin(pending)) continue;
      if (in_vain || !still_makes_sense(pending)) {
        pending.dropped = true;
        ++counts.dropped;
        again = true;
        continue;
      }
      pending.state = State::begun;
      send(pending);
    }
  }
}

void Control::send(const Pending& pending) {
  const auto& action = pending.action;
  std::vector<Order> orders{{.guest = pending.guest, .from = pending.from, .to = action.to}};
  auto& order = orders.front();
  switch (action.kind) {
    case ActionKind::place:
      order.kind = Order::Kind::start;
      order.token = next_token_++;
      set(pending.guest, Phase::starting, action.to);
      ++counts.starts;
      break;
    case ActionKind::move:
      order.kind = Order::Kind::move;
      order.token = next_token_++;
      set(pending.guest, Phase::moving, pending.from, action.to);
      ++moves_of[pending.guest];
      std::rotate(moved_[pending.guest].rbegin(), moved_[pending.guest].rbegin() + 1, moved_[pending.guest].rend());
      moved_[pending.guest].front() = agenda_.now();
      ++counts.moves;
      break;
    case ActionKind::wake: order.kind = Order::Kind::wake, ++counts.wakes; break;
    case ActionKind::sleep: order.kind = Order::Kind::sleep, ++counts.sleeps; break;
  }
  if (hooks_.orders) hooks_.orders(orders);
  for (const auto& one : orders) {
    on_order(one);
    const auto& to = world_.hosts[one.to].name;
    switch (one.kind) {
      case Order::Kind::start: log_.line("start {} on {}", world_.name(one.guest), to); break;
      case Order::Kind::move:
        log_.line("move {} from {} to {}", world_.name(one.guest), world_.hosts[one.from].name, to);
        break;
      case Order::Kind::wake: log_.line("wake {}", to); break;
      case Order::Kind::sleep: log_.line("put {} to sleep", to); break;
    }
    world_.carry_out(one);
    if (one.guest == kNone) continue;
    agenda_.after(kSettle, [this, guest = one.guest, life = lives_] {
      if (up_ && life == lives_ && world_.work_for(guest) == nullptr) settle(guest);
    });
  }
}

// The first guests have been there for long: they run at once.
void Control::begin() {
  auto cluster = snapshot();
  on_snapshot(cluster);
  auto policy = policy_;
  policy.balance = policy.consolidate = policy.power = Mode::off;
  policy.repair = Mode::automatic;
  const auto plan = planner_(cluster, policy, now(), scenario_.seed);
  std::size_t placed = 0;
  for (const auto& action : plan.actions) {
    if (action.kind != ActionKind::place) continue;
    const auto guest = planned_guests_.at(action.guest);
    on_order({.kind = Order::Kind::start, .guest = guest, .to = action.to, .token = next_token_++});
    world_.put(guest, action.to);
    set(guest, Phase::running, action.to);
    ++placed;
  }
  log_.line("{} of {} guests begin on {} hosts", placed, planned_guests_.size(), world_.hosts.size());
  last_plan_ = agenda_.now();
}

}  // namespace bridgehead::simulation
