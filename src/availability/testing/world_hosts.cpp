// World: what its hosts do: power, their agents and watchdogs, guests on them, and the disks that these write.
#include "availability/testing/world.h"

namespace bridgehead::availability::testing {

using model::VmId;

BootTime World::time_of(const Host& host) const {
  return BootTime(Span(static_cast<std::int64_t>(static_cast<double>(now_ - host.boot_at) * host.rate)));
}

bool World::agent_runs(const Host& host) const {
  return host.on && host.keeper && now_ >= host.asleep_until && now_ >= host.paused_until;
}

void World::power_on(Host& host) {
  if (host.on || host.dead_for_good) return;
  note("{} is switched on", host.id);
  host.on = true;
  ++host.boot;
  host.boot_at = now_;
  host.asleep_until = host.paused_until = 0;
  host.fed_at = -1;
  host.tmpfs = {};
  if (host.diskless) host.disk = {};
  in(between(3'000, 20'000), [this, &host, boot = host.boot] {
    if (host.boot == boot && host.on && !host.keeper) start_agent(host);
  });
}

void World::power_off(Host& host, const char* why) {
  if (!host.on) return;
  note("{} is off: {}", host.id, why);
  count(why);
  kill_agent(host);
  host.on = false;
  host.guests.clear();
  host.stopping.clear();
  host.fed_at = -1;
  // Somebody switches it on again.
  in(between(20'000, 150'000), [this, &host] { power_on(host); });
}

void World::kill_agent(Host& host) {
  host.keeper.reset();
  ++host.agent;
  host.waiting.clear();
  host.busy.clear();
  host.coming.clear();
  host.restamping.clear();
  host.paused_until = 0;
}

void World::start_agent(Host& host) {
  if (!host.on || host.keeper) return;
  std::set<VmId> running;
  for (const auto& [vm, token] : host.guests) running.insert(vm);
  host.keeper = std::make_unique<LeaseKeeper>(
      LeaseKeeper::Host{.node = host.id, .instance = engine_(), .watchdog = host.watchdog}, timing_, host.disk,
      host.tmpfs, std::move(running));
  ++host.agent;
  host.disturbed_at = now_;
  note("{}: agent starts", host.id);
  on_agent(host, between(0, 300), [this, &host] { agent_tick(host); });
}

void World::on_agent(Host& host, std::int64_t delay, std::function<void()> what) {
  in(delay, [this, &host, agent = host.agent, what = std::move(what)] {
    if (!host.on || !host.keeper || host.agent != agent) return;
    if (!agent_runs(host)) {
      host.waiting.push_back(what);
      return;
    }
    run_on_agent(host, what);
  });
}

void World::run_on_agent(Host& host, const std::function<void()>& what) {
  try {
    what();
    persist(host);
  } catch (const AgentDied&) {
    note("{}: agent dies", host.id);
    kill_agent(host);
    in(between(500, 2'500), [this, &host, boot = host.boot] {
      if (host.boot == boot) start_agent(host);
    });
  }
}

void World::persist(Host& host) {
  const auto dirty = host.keeper->take_changes();
  if (!dirty.record && !dirty.boot) return;
  const bool dies = faults_ && chance(0.002);
  if (dies && chance(0.5)) throw AgentDied{};
  if (dirty.record) host.disk = host.keeper->record();
  if (dirty.boot) host.tmpfs = host.keeper->boot();
  if (dies) throw AgentDied{};
}

void World::feed_watchdog(Host& host) {
  if (!host.watchdog) return;
  if (!host.keeper->needs_watchdog()) {
    host.fed_at = -1;
    return;
  }
  const bool first = host.fed_at < 0;
  if (!first && !host.keeper->may_feed_watchdog(time_of(host))) return;
  host.fed_at = now_;
  if (first) watchdog_fires(host);
}

// Looks again when it may be due: it is the kernel's and needs no agent.
void World::watchdog_fires(Host& host) {
  if (!host.on || host.fed_at < 0) return;
  const auto due = host.fed_at + static_cast<std::int64_t>(static_cast<double>(timing_.watchdog.count()) / host.rate);
  if (now_ >= due && now_ >= host.asleep_until) return power_off(host, "reset by its watchdog");
  in(std::max<std::int64_t>(1, std::max(due, host.asleep_until) - now_), [this, &host, boot = host.boot] {
    if (host.boot == boot) watchdog_fires(host);
  });
}

void World::agent_tick(Host& host) {
  on_agent(host, between(300, 700), [this, &host] { agent_tick(host); });
  agent_duties(host);
}

void World::agent_duties(Host& host) {
  auto& keeper = *host.keeper;
  const auto now = time_of(host);
  if (host.pool) ++heartbeats_[host.id];
  if (host.pool && now_ >= host.pool_read_at) {
    host.pool_read_at = now_ + 2'000;
    // A pool may be slow.
    in(faults_ && chance(0.1) ? between(0, 8'000) : between(0, 200), [this, &host, now, agent = host.agent] {
      const auto& found = claims_[host.id];
      std::vector<std::uint64_t> claims(found.begin(), found.end());
      if (host.agent != agent) return;
      on_agent(host, faults_ && chance(0.2) ? between(0, 9'000) : between(0, 200),
               [this, &host, now, claims] { host.keeper->pool_read(claims, now, time_of(host)); });
    });
  }
  feed_watchdog(host);
  auto duties = keeper.tick(now, host.pool);
  persist(host);
  if (duties.renew) {
    to_manager(&host, [id = host.id, renewal = *duties.renew, this](Availability& manager) {
      return manager.renewed(id, renewal, manager_time());
    });
  }
  for (const auto& vm : duties.stop) {
    check_stop(host, vm);
    stop_guest(host, vm);
  }
  for (const auto& wanted : duties.restamp) {
    if (host.restamping.insert(wanted.vm).second) restamp(host, wanted);
  }
  for (const auto& [vm, held] : keeper.record().held) {
    if (host.guests.contains(vm) || host.busy.contains(vm) || !host.pool) continue;
    if (held.grant.kind == GrantKind::incoming && held.stamped) continue;
    begin_start(host, vm);
  }
}

void World::begin_start(Host& host, const VmId& vm) {
  const bool incoming = host.keeper->record().held.at(vm).grant.kind == GrantKind::incoming;
  const auto begun =
      incoming ? host.keeper->begin_incoming(vm, time_of(host)) : host.keeper->begin_start(vm, time_of(host));
  if (!begun) return;
  feed_watchdog(host);
  host.busy.insert(vm);
  on_agent(host, between(1, 1'000), [this, &host, vm, incoming] { stamp(host, vm, incoming); });
}

void World::stamp(Host& host, const VmId& vm, bool incoming) {
  auto& keeper = *host.keeper;
  const auto held = keeper.record().held.find(vm);
  if (held == keeper.record().held.end() || !host.pool) {
    host.busy.erase(vm);
    keeper.not_started(vm);
    return;
  }
  const auto& grant = held->second.grant;
  const auto disk = disks_.find(vm);
  const auto found = disk == disks_.end() ? std::nullopt : std::optional(disk->second);
  auto verdict = judge_stamp(found, grant, host.id, held->second.stamped);
  if (environment_ == Environment::disk_checks_nothing) verdict = StampVerdict::write;
  if (verdict == StampVerdict::refuse) {
    note("{}: {} under {} after {} is refused: {} of {} is stamped", host.id, vm, grant.token, grant.after,
         found->holder.token, found->holder.node);
    count(found->holder.token > grant.after ? "stamp refused" : "stamp refused that is kept");
    host.busy.erase(vm);
    keeper.refused(vm, *found);
    return;
  }
  if (verdict == StampVerdict::write) {
    if (found && found->holder.token >= grant.token) {
      violate(fmt::format("{}'s stamp goes back from {} to {}", vm, found->holder.token, grant.token));
    }
    const bool comes_from_it = found && grant.source == found->holder;
    disks_[vm] = {.holder = {host.id, grant.token},
                  .source = grant.source,
                  .terms = model::LeaseTerms::keep,
                  .source_terms = comes_from_it ? found->terms : std::nullopt};
    note("{}: {} is stamped {} after {}{}", host.id, vm, grant.token, grant.after,
         grant.after_by_time ? " by time" : "");
  }
  keeper.stamped(vm);
  persist(host);
  if (incoming) {
    host.coming[vm] = order_;
    on_agent(host, 15'000, [&host, vm, coming = order_] {  // it never came
      const auto still = host.coming.find(vm);
      if (still == host.coming.end() || still->second != coming) return;
      host.coming.erase(still);
      host.busy.erase(vm);
      host.keeper->not_started(vm);
    });
    in(between(500, 8'000), [this, vm] { transfer(vm); });
    return;
  }
  on_agent(host, between(1, 500), [this, &host, vm] {
    if (!host.keeper->may_run_now(vm, time_of(host))) {
      host.busy.erase(vm);
      host.keeper->not_started(vm);
      return;
    }
    // Libvirt does the rest, whatever becomes of the agent; or the agent is held up before it has told it.
    const bool held_up = faults_ && chance(0.03);
    in(held_up ? between(400, 60'000) : between(0, 400),
       [this, &host, vm, held_up, boot = host.boot, agent = host.agent, token = *host.keeper->token(vm)] {
         if (host.boot != boot || !host.on || (held_up && host.agent != agent)) return;
         if (held_up) host.disturbed_at = now_;
         run_guest(host, vm, token);
         if (host.agent != agent) return;
         on_agent(host, between(0, 100), [&host, vm] {
           host.busy.erase(vm);
           host.keeper->started(vm);
           if (!host.guests.contains(vm)) host.keeper->stopped(vm);
         });
       });
  });
}

void World::restamp(Host& host, const Restamp& wanted) {
  const auto takes = faults_ && chance(0.1) ? between(0, 9'000) : between(1, 500);
  on_agent(host, takes, [this, &host, wanted] {
    const auto disk = disks_.find(wanted.vm);
    const bool own = disk != disks_.end() && disk->second.holder == Holder{host.id, wanted.token};
    const bool leaves = disk != disks_.end() && disk->second.source == Holder{host.id, wanted.token};
    if (!host.pool || leaves || (!own && wanted.terms == model::LeaseTerms::stop)) {
      host.restamping.erase(wanted.vm);
      return;
    }
    if (own) {
      const bool stop = wanted.terms == model::LeaseTerms::stop;
      note("{}: the stamp {} of {} says {}", host.id, wanted.token, wanted.vm, stop ? "stop" : "keep");
      disk->second.terms = wanted.terms;
      count(stop ? "stamped stop" : "stamped keep");
    }
    on_agent(host, between(0, 500), [&host, wanted] {
      host.restamping.erase(wanted.vm);
      host.keeper->restamped(wanted);
    });
  });
}

void World::run_guest(Host& host, const VmId& vm, Token token) {
  note("{}: {} runs under {}", host.id, vm, token);
  for (const auto& other : hosts_) {
    if (other.guests.contains(vm)) {
      violate(fmt::format("two writers of {}: {} under {} and {} under {}", vm, other.id, other.guests.at(vm), host.id,
                          token));
    }
  }
  if (token < last_token_[vm]) violate(fmt::format("{} runs under {} after {}", vm, token, last_token_[vm]));
  last_token_[vm] = token;
  host.guests[vm] = token;
  if (!faults_ || !chance(0.3)) return;
  // It powers itself off or crashes some time.
  in(between(5'000, 300'000), [this, &host, vm, boot = host.boot] {
    if (host.boot != boot || host.guests.erase(vm) == 0) return;
    if (host.keeper)
      on_agent(host, 10, [&host, vm] {
        if (!host.guests.contains(vm)) host.keeper->stopped(vm);
      });
  });
}

// An agent that works stops guests early enough for them to be gone before the lease ends.
void World::check_stop(const Host& host, const VmId& vm) {
  const auto held = host.keeper->record().held.find(vm);
  if (held == host.keeper->record().held.end() || host.stopping.contains(vm) || !host.guests.contains(vm)) return;
  const auto ends = host.keeper->boot().ends.find({vm, held->second.grant.token});
  if (ends == host.keeper->boot().ends.end() || now_ < host.disturbed_at + 3'000) return;
  if (held->second.grant.terms == Terms::stop && time_of(host) > ends->second - Span(2'500)) {
    violate(fmt::format("{} begins to stop {} too late", host.id, vm));
  }
}

void World::stop_guest(Host& host, const VmId& vm) {
  if (!host.stopping.insert(vm).second) return;
  note("{}: {} is being stopped", host.id, vm);
  // Some hang in the kernel.
  in(faults_ && chance(flavour_ == Flavour::by_time ? 0.4 : 0.05) ? 60'000 : between(100, 2'500),
     [this, &host, vm, boot = host.boot] {
       if (host.boot != boot) return;
       host.stopping.erase(vm);
       host.guests.erase(vm);
       if (host.keeper)
         on_agent(host, between(0, 100), [&host, vm] {
           if (!host.guests.contains(vm)) host.keeper->stopped(vm);
         });
     });
}

// The moment in which a migrating guest stands still here and goes on there. QEMU sees to it that it is one.
void World::transfer(const VmId& vm) {
  Host* from = nullptr;
  Host* to = nullptr;
  for (auto& host : hosts_) {
    if (host.guests.contains(vm)) from = &host;
    if (agent_runs(host) && host.coming.contains(vm) && host.keeper->may_run_now(vm, time_of(host)) &&
        !host.guests.contains(vm))
      to = &host;
  }
  if (!from || !to || from == to || !from->on || now_ < from->asleep_until || !from->link || !to->link) return;
  const auto& grant = to->keeper->record().held.at(vm).grant;
  if (grant.source != Holder{from->id, from->guests.at(vm)} || disks_.at(vm).holder != Holder{to->id, grant.token})
    return;
  note("{} goes from {} to {}", vm, from->id, to->id);
  count("moved");
  from->guests.erase(vm);
  run_guest(*to, vm, grant.token);
  run_on_agent(*to, [&] {
    to->busy.erase(vm);
    to->coming.erase(vm);
    to->keeper->started(vm);
  });
  if (!from->keeper) return;
  on_agent(*from, between(1, 2'000), [from, vm] {
    if (from->guests.contains(vm) || from->busy.contains(vm)) return;
    from->keeper->stopped(vm);
    from->keeper->give_back(vm);
  });
}

void World::wake(Host& host) {
  note("{} wakes", host.id);
  host.disturbed_at = now_;
  if (environment_ == Environment::clock_stops_in_sleep) host.boot_at += host.asleep_until - host.asleep_since;
  const auto waiting = std::exchange(host.waiting, {});
  for (const auto& what : waiting) on_agent(host, between(0, 50), what);
}

}  // namespace bridgehead::availability::testing
