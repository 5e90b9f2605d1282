#include "availability/testing/world.h"

namespace bridgehead::availability::testing {

using model::VmId;

void World::fault() {
  if (!faults_) return;
  in(between(500, 12'000), [this] { fault(); });
  if (chance(0.25)) return fault_of_manager();
  if (chance(flavour_ == Flavour::restored ? 0.4 : 0.15)) return begin_move();
  if (flavour_ == Flavour::by_time && chance(0.15)) return change_wish();
  fault_of_host(hosts_[below(hosts_.size())]);
}

// To `keep`, and mostly soon back to `stop`, when not everybody has heard of it yet.
void World::change_wish() {
  const auto& guest = guests_[below(guests_.size())];
  if (guest.terms != Terms::stop) return;
  Backup before{saved_, wishes_, now_};
  auto& wish = wishes_[guest.vm];
  wish = wish == Terms::stop ? Terms::keep : Terms::stop;
  note("{} is wanted by {}", guest.vm, wish == Terms::stop ? "stop" : "keep");
  if (wish == Terms::stop) return count("terms changed to stop");
  count("terms changed to keep");
  if (chance(0.4)) return restore_from_before(guest.vm, std::move(before));
  if (!chance(0.7)) return;
  in(between(200, 8'000), [this, vm = guest.vm] { wishes_[vm] = Terms::stop; });
}

void World::cut_link(Host& host, std::int64_t time) {
  note("{}: link cut", host.id);
  host.link = false;
  in(time, [this, &host] {
    note("{}: link back", host.id);
    host.link = true;
  });
}

void World::fault_of_host(Host& host) {
  if (!host.on) return;
  // Two faults at once that can't be told from a host that is off: a power control that lies, and nothing of the host
  // to be seen. docs/availability.md says so.
  const bool visible = host.bmc == Bmc::lies;
  switch (below(7)) {
    case 0:
      if (chance(0.4)) power_off(host, "lost power");
      break;
    case 1: {
      const auto flaps = chance(0.3);
      cut_link(host, flaps ? between(500, 12'000) : between(1'000, 90'000));
      break;
    }
    case 2:
      if (visible) break;
      note("{}: storage cut", host.id);
      host.pool = false;
      in(between(1'000, 60'000), [&host] { host.pool = true; });
      break;
    case 3: {
      if (visible || !agent_runs(host)) break;
      const auto pause = between(500, 60'000);
      note("{}: agent paused for {} ms", host.id, pause);
      host.paused_until = now_ + pause;
      in(pause, [this, &host, agent = host.agent] {
        if (host.agent != agent || !agent_runs(host)) return;
        host.disturbed_at = now_;
        const auto waiting = std::exchange(host.waiting, {});
        // First what it was at, then what came in meanwhile.
        for (const auto& what : waiting) on_agent(host, between(0, 50), what);
      });
      break;
    }
    case 4:
      if (!host.keeper) break;
      note("{}: agent killed", host.id);
      kill_agent(host);
      in(visible ? between(100, 1'500) : between(100, 30'000), [this, &host, boot = host.boot] {
        if (host.boot == boot) start_agent(host);
      });
      break;
    case 5:
      if (!visible) sleep_host(host);
      break;
    default: break;
  }
}

// A host that blocks it may still be put to sleep by its lid or firmware, but not beyond its guests' leases: then they
// would write before anybody looked at a clock. docs/availability.md says so.
void World::sleep_host(Host& host) {
  if (!agent_runs(host)) return;
  std::int64_t most = 40'000;
  if (host.keeper->blocks_sleep()) {
    for (const auto& [name, ends] : host.keeper->boot().ends) {
      most = std::min<std::int64_t>(most, (ends - time_of(host)).count() * 9 / 10 - 1'000);
    }
  }
  if (most <= 1'000) return;
  const auto sleeps = between(1'000, most);
  note("{} sleeps for {} ms", host.id, sleeps);
  host.asleep_since = now_;
  host.asleep_until = now_ + sleeps;
  if (host.fed_at >= 0) host.fed_at += sleeps;  // the watchdog sleeps, too
  in(sleeps, [this, &host, boot = host.boot] {
    if (host.boot != boot || !host.on) return;
    wake(host);
    if (chance(0.6)) in(300, [this, &host] { sleep_host(host); });
  });
}

void World::fault_of_manager() {
  switch (below(5)) {
    case 0: kill_manager(); break;
    case 1: {
      if (!manager_ || now_ < manager_paused_until_) break;
      const auto pause = between(500, 40'000);
      note("manager paused for {} ms", pause);
      manager_paused_until_ = now_ + pause;
      in(pause, [this, life = manager_life_] {
        if (life != manager_life_) return;
        const auto waiting = std::exchange(manager_waiting_, {});
        for (const auto& what : waiting) what();
      });
      break;
    }
    case 2:
      note("manager cut off");
      manager_link_ = false;
      in(between(1'000, 60'000), [this] { manager_link_ = true; });
      break;
    case 3:
      if (backups_.empty() || !chance(flavour_ == Flavour::restored ? 0.9 : 0.5)) break;
      restore_manager(chance(0.5) ? backups_.back() : backups_[below(backups_.size())]);
      break;
    default: break;
  }
}

void World::restore_manager(Backup backup) {
  count("manager restored");
  kill_manager();
  saved_ = std::move(backup.record);
  wishes_ = std::move(backup.wishes);
  note("manager restored from a backup");
  // Newer ones are of a manager that was given up for this: what they know to have ended by time may have been renewed
  // since. docs/availability.md says so.
  if (flavour_ == Flavour::by_time) std::erase_if(backups_, [&](const Backup& one) { return one.made > backup.made; });
}

// A backup of when the guest was to stop, while the node that keeps it now isn't heard. Perhaps it can't say so beside
// the disks.
void World::restore_from_before(const VmId& vm, Backup before) {
  for (auto& host : hosts_) {
    if (!host.guests.contains(vm) || host.bmc == Bmc::lies || !chance(0.4)) continue;
    note("{}: storage cut", host.id);
    host.pool = false;
    in(between(60'000, 150'000), [&host] { host.pool = true; });
  }
  in(between(2'000, 20'000), [this, vm, before = std::move(before)] {
    if (!faults_) return;
    for (auto& host : hosts_) {
      if (host.guests.contains(vm)) cut_link(host, between(80'000, 200'000));
    }
    restore_manager(before);
  });
}

void World::begin_move() {
  if (!manager_ || now_ < manager_paused_until_) return;
  const auto vm = guests_[below(guests_.size())].vm;
  const auto to = hosts_[below(hosts_.size())].id;
  on_manager([&](Availability& manager) {
    const auto granted = manager.begin_move(vm, to, manager_time());
    if (granted) note("{} is to move to {} under {}", vm, to, granted->token);
    return Actions{};
  });
  in(between(4'000, 40'000), [this, vm] {
    on_manager([vm](Availability& manager) {
      manager.cancel_move(vm);
      return Actions{};
    });
  });
}

// No more faults; some hosts stay dead, as long as two are left.
void World::heal() {
  note("no more faults");
  begin_move();
  begin_move();
  faults_ = false;
  manager_link_ = true;
  // Whatever guests were given up are started again by hand.
  in(200'000, [this] {
    for (const auto& guest : guests_) {
      on_manager([&guest](Availability& manager) {
        manager.person_starts(guest.vm);
        return Actions{};
      });
    }
  });
  std::size_t alive = hosts_.size();
  for (auto& host : hosts_) {
    host.link = host.pool = true;
    if (alive > 2 && chance(0.4)) {
      host.dead_for_good = true;
      power_off(host, "dead for good");
      --alive;
    } else if (!host.on) {
      in(between(1'000, 60'000), [this, &host] { power_on(host); });
    }
  }
}

void World::check_end() {
  for (const auto& guest : guests_) {
    std::vector<const Host*> on;
    for (const auto& host : hosts_) {
      if (host.guests.contains(guest.vm)) on.push_back(&host);
    }
    if (on.size() > 1) violate(fmt::format("{} runs on {} hosts", guest.vm, on.size()));
    if (on.size() == 1) continue;
    const auto* record = manager_ ? manager_->guest(guest.vm) : nullptr;
    if (!record) {
      violate("the manager is away");
      continue;
    }
    const bool home_dead = by_id_.at(record->home)->dead_for_good;
    if (home_dead && !guest.restart) continue;  // it waits for its node
    std::string leases;
    if (const auto* known = manager_->book().leases(guest.vm)) {
      for (const auto& entry : known->outstanding) leases += fmt::format(" {} of {}", entry.token, entry.node);
    }
    std::string stages;
    for (const auto& host : hosts_) stages += fmt::format(" {}: {}", host.id, to_string(manager_->stage(host.id)));
    violate(fmt::format("{} is lost: its node is {}, leases{}, waits for '{}';{}", guest.vm, record->home, leases,
                        manager_->waits_for(guest.vm), stages));
  }
}

}  // namespace bridgehead::availability::testing
