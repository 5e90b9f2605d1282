#include "simulation/world.h"

#include <algorithm>

namespace bridgehead::simulation {

using scheduler::HostPower;
using scheduler::Resource;

namespace {

constexpr double kGoingDown = 20;  // seconds until a host that was told to sleep does
constexpr double kMoveCpus = 0.5;  // that a move takes at both ends
constexpr double kTouched = 0.6;   // of a guest's memory; the rest is zeros and costs a move nothing
constexpr double kDirtied = 1.25;  // what is copied again

}  // namespace

World::World(const Scenario& scenario, const Trace& trace, Agenda& agenda, Log& log)
    : scenario_(scenario), agenda_(agenda), log_(log) {
  const auto& allowance = scenario.allowance;
  for (const auto& group : scenario.hosts) {
    for (std::size_t i = 0; i < group.count; ++i) {
      Host host;
      host.name = fmt::format("{}{:03}", group.name, i + 1);
      host.rack = fmt::format("{}rack{}", group.name, i % group.racks + 1);
      host.cpus = group.cpus;
      host.model = group.power;
      const double share = 1 - allowance.host_share;
      host.limits[index(Resource::vcpus)] = std::floor(group.cpus * allowance.cpu_overcommit);
      host.limits[index(Resource::memory)] = std::floor(group.memory * share * allowance.memory_overcommit);
      host.limits[index(Resource::cpu_used)] = group.cpus * share;
      host.limits[index(Resource::memory_used)] = group.memory * share;
      hosts.push_back(std::move(host));
    }
  }
  guests.resize(trace.guests.size());
  for (std::size_t i = 0; i < guests.size(); ++i) guests[i].trace = &trace.guests[i];
}

bool World::runs(GuestId guest, HostId host) const {
  const auto& on = guests[guest].runs_on;
  return std::find(on.begin(), on.end(), host) != on.end();
}

const Work* World::work_for(GuestId guest) const {
  const auto found = work_of_.find(guest);
  return found == work_of_.end() ? nullptr : &works.at(found->second);
}

double World::watts(const Host& host) const {
  switch (host.power) {
    case HostPower::on: {
      if (host.broken) return 0;
      const double busy = std::min(1.0, (host.cpu + kMoveCpus * host.moves) / host.cpus);
      return host.model.watts_on(busy);
    }
    case HostPower::waking: return (host.model.idle_watts + host.model.busy_watts) / 2;  // booting is work
    case HostPower::going_down: return host.model.idle_watts;
    case HostPower::asleep:
    case HostPower::off: return host.model.asleep_watts;
  }
  return 0;
}

void World::account() {
  const double seconds = agenda_.now() - accounted_;
  if (seconds <= 0) return;
  accounted_ = agenda_.now();
  for (const auto& host : hosts) {
    const double now = watts(host);
    energy += now * seconds;
    const bool on = host.power == HostPower::on;
    energy_always_on += (host.broken ? 0 : on ? now : host.model.idle_watts) * seconds;
  }
}

void World::carry_out(const Order& order) {
  switch (order.kind) {
    case Order::Kind::start: return start(order);
    case Order::Kind::move: return move(order);
    case Order::Kind::wake: return wake(order.to);
    case Order::Kind::sleep: return sleep(order.to);
  }
}

// Guests run and are counted from here on.
void World::take(GuestId guest, HostId host, double sign) {
  auto& taken = hosts[host].taken;
  taken[index(Resource::vcpus)] += sign * guests[guest].trace->vcpus;
  taken[index(Resource::memory)] += sign * guests[guest].trace->memory;
}

void World::run(GuestId guest, HostId host) {
  guests[guest].runs_on.push_back(host);
  hosts[host].guests.push_back(guest);
  on_run(guest, host);
}

void World::put(GuestId guest, HostId host) {
  take(guest, host, 1);
  run(guest, host);
}

void World::stop(GuestId guest, HostId host) {
  std::erase(guests[guest].runs_on, host);
  std::erase(hosts[host].guests, guest);
  take(guest, host, -1);
}

void World::remove(GuestId guest, HostId host) {
  if (const auto found = work_of_.find(guest); found != work_of_.end()) {
    const auto work = works.find(found->second);
    if (work->second.order.to == host || work->second.order.from == host) drop_work(work);
  }
  if (runs(guest, host)) stop(guest, host);
}

std::uint64_t World::begin_work(const Order& order, double seconds) {
  const auto number = next_work_++;
  works[number] = {order, agenda_.now() + seconds};
  work_of_[order.guest] = number;
  take(order.guest, order.to, 1);
  if (order.kind == Order::Kind::move) {
    account();
    ++hosts[order.from].moves;
    ++hosts[order.to].moves;
  }
  return number;
}

void World::drop_work(std::map<std::uint64_t, Work>::iterator work) {
  const auto order = work->second.order;
  if (order.kind == Order::Kind::move) {
    account();
    --hosts[order.from].moves;
    --hosts[order.to].moves;
  }
  take(order.guest, order.to, -1);
  if (const auto of = work_of_.find(order.guest); of != work_of_.end() && of->second == work->first) work_of_.erase(of);
  works.erase(work);
}

void World::drop_works(HostId host) {
  for (auto work = works.begin(); work != works.end();) {
    const auto next = std::next(work);
    if (work->second.order.to == host || work->second.order.from == host) drop_work(work);
    work = next;
  }
}

void World::start(const Order& order) {
  guests[order.guest].highest_token = std::max(guests[order.guest].highest_token, order.token);
  if (!heard(order.to)) return;  // it never arrives
  const auto number = begin_work(order, scenario_.start_time.count() * slowness);
  agenda_.at(works[number].until, [this, number] { end_start(number); });
}

void World::end_start(std::uint64_t number) {
  const auto found = works.find(number);
  if (found == works.end()) return;
  const auto work = found->second;
  drop_work(found);
  take(work.order.guest, work.order.to, 1);
  run(work.order.guest, work.order.to);
  if (heard(work.order.to)) on_work_over(work);
}

void World::move(const Order& order) {
  guests[order.guest].highest_token = std::max(guests[order.guest].highest_token, order.token);
  if (!heard(order.from) || !heard(order.to) || !runs(order.guest, order.from)) return;
  const double rate = scenario_.policy.link / scenario_.policy.moves_per_host;
  const double bytes = guests[order.guest].trace->memory * kTouched * kDirtied;
  const auto number = begin_work(order, std::max(2.0, bytes / rate) * std::max(1.0, slowness / 2));
  agenda_.at(works[number].until, [this, number] { end_move(number); });
}

// The guest is at its target at once, or stays where it is when one of the two can't be reached by the other.
void World::end_move(std::uint64_t number) {
  const auto found = works.find(number);
  if (found == works.end()) return;
  const auto work = found->second;
  drop_work(found);
  const auto& order = work.order;
  const bool reached = heard(order.from) && heard(order.to) && runs(order.guest, order.from);
  if (reached) {
    account();
    stop(order.guest, order.from);
    take(order.guest, order.to, 1);
    run(order.guest, order.to);
  }
  if (heard(order.from) || heard(order.to)) on_work_over(work);
}

void World::sleep(HostId id) {
  auto& host = hosts[id];
  const bool idle = host.guests.empty() && std::none_of(works.begin(), works.end(),
                                                        [&](const auto& work) { return work.second.order.to == id; });
  if (!heard(id) || !idle) {
    log_.line("{} refuses to sleep", host.name);
    return;
  }
  account();
  ++sleeps;
  host.power = HostPower::going_down;
  host.power_since = agenda_.now();
  agenda_.after(kGoingDown, [this, id] {
    auto& down = hosts[id];
    if (down.power != HostPower::going_down) return;
    account();
    down.power = HostPower::asleep;
    down.power_since = agenda_.now();
    log_.line("{} sleeps", down.name);
  });
}

void World::wake(HostId id) {
  auto& host = hosts[id];
  if (host.power != HostPower::asleep && host.power != HostPower::off) return;
  account();
  ++wakes;
  host.power = HostPower::waking;
  host.power_since = agenda_.now();
  agenda_.after(host.model.wake.count(), [this, id] {
    auto& up = hosts[id];
    if (up.power != HostPower::waking) return;
    account();
    up.power = HostPower::on;
    up.power_since = agenda_.now();
    log_.line("{} is awake{}", up.name, up.broken ? ", but broken" : "");
    if (heard(id)) {
      on_heard(id);
    } else {
      up.silent_since = agenda_.now();
      on_silent(id);
    }
  });
}

void World::stop_all(HostId id) {
  drop_works(id);
  const auto here = hosts[id].guests;
  for (const auto guest : here) stop(guest, id);
}

void World::fall_silent(HostId id) {
  auto& host = hosts[id];
  host.silent_since = agenda_.now();
  ++host.silences;
  on_silent(id);
}

void World::break_host(HostId id) {
  auto& host = hosts[id];
  if (host.broken) return;
  account();
  const bool was_heard = heard(id);
  host.broken = true;
  log_.line("{} breaks with {} guests", host.name, host.guests.size());
  stop_all(id);
  if (was_heard) fall_silent(id);
}

void World::repair_host(HostId id) {
  auto& host = hosts[id];
  if (!host.broken) return;
  account();
  host.broken = false;
  host.power = HostPower::on;
  host.power_since = agenda_.now();
  log_.line("{} is repaired", host.name);
  if (heard(id)) on_heard(id);
}

void World::cut_off(HostId id) {
  auto& host = hosts[id];
  const bool was_heard = heard(id);
  ++host.cut_off;
  if (!was_heard) return;
  log_.line("{} is cut off with {} guests", host.name, host.guests.size());
  fall_silent(id);
  // Its agent stops what it has no lease for any more, without being told.
  agenda_.after(scenario_.lease.count(), [this, id, silence = host.silences] {
    auto& alone = hosts[id];
    if (alone.silences != silence || alone.cut_off == 0 || alone.broken) return;
    log_.line("{} stops {} guests: no lease", alone.name, alone.guests.size());
    account();
    stop_all(id);
  });
}

void World::connect(HostId id) {
  auto& host = hosts[id];
  if (--host.cut_off > 0 || !heard(id)) return;
  log_.line("{} is reached again", host.name);
  on_heard(id);
}

}  // namespace bridgehead::simulation
