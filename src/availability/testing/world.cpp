#include "availability/testing/world.h"

namespace bridgehead::availability::testing {

using model::NodeId;
using model::VmId;

namespace {

// Short enough for much to happen, with clocks much worse than real ones.
Timing timing_of_worlds(bool by_time) {
  Timing timing;
  timing.drift_ppm = 20'000;
  timing.ask_every = Span(60'000);
  timing.grace = Span(15'000);
  timing.slack = Span(600);
  if (by_time) {
    timing.renew_every = Span(2'000);
    timing.suspect_after = Span(4'000);
    timing.look_every = Span(400);
    timing.check_for = Span(1'000);
    timing.patience = Span(2'000);
  }
  timing.storm_window = Span(60'000);
  timing.flap_window = Span(60'000);
  return timing;
}

}  // namespace

World::World(std::uint64_t seed, Environment environment, bool print_log)
    : environment_(environment),
      print_log_(print_log),
      engine_(seed),
      timing_(timing_of_worlds(seed % 3 == 1)),
      flavour_(Flavour(seed % 3)) {
  outcome_.seed = seed;
  const auto drift = environment == Environment::clocks_beyond_bound ? 0.3 : 0.02;
  const auto rate = [&] { return 1 + drift * (static_cast<double>(below(2001)) / 1000 - 1); };
  const bool by_time = flavour_ == Flavour::by_time;
  const bool watchdogs = by_time || chance(0.6);
  for (std::size_t i = 0, count = 3 + below(3); i < count; ++i) {
    auto& host = hosts_.emplace_back();
    host.id = NodeId(fmt::format("n{}", i));
    host.watchdog = watchdogs && (by_time || chance(0.9));
    host.diskless = chance(0.3);
    host.rate = rate();
    const auto dice = by_time ? 7 + below(6) : below(10);
    host.bmc = dice < 6 ? Bmc::good : dice < 7 ? Bmc::slow : dice < 8 ? Bmc::dead : dice < 9 ? Bmc::lies : Bmc::none;
    by_id_[host.id] = &host;
  }
  manager_rate_ = rate();
  for (std::size_t i = 0, count = 2 + below(4); i < count; ++i) {
    GuestFacts guest{
        .vm = VmId(fmt::format("vm{}", i)), .cpus = 1, .memory = 1_GiB, .home = hosts_[below(hosts_.size())].id};
    const auto dice = by_time ? 4 + below(6) : below(10);
    guest.terms = dice < 1 ? Terms::own : dice < 5 ? Terms::keep : Terms::stop;
    guest.restart = guest.terms != Terms::own && chance(0.8);
    guest.priority = static_cast<std::int32_t>(below(3));
    guests_.push_back(guest);
  }
}

template <typename... Args>
void World::note(fmt::format_string<Args...> format, Args&&... args) {
  if (!print_log_) return;
  fmt::print("{:>9.3f} {}\n", static_cast<double>(now_) / 1000, fmt::format(format, std::forward<Args>(args)...));
}

void World::violate(std::string what) {
  note("VIOLATION: {}", what);
  if (outcome_.violation.empty()) outcome_.violation = fmt::format("at {} ms: {}", now_, what);
}

Outcome World::run() {
  for (auto& host : hosts_) power_on(host);
  start_manager();
  in(20'000, [this] { fault(); });
  run_until(20'000 + between(200'000, 900'000));
  if (outcome_.violation.empty()) {
    heal();
    // Longest: grace, a person asked twice, locks that aren't freed, learning.
    run_until(now_ + 500'000);
  }
  if (outcome_.violation.empty()) check_end();
  return outcome_;
}

void World::run_until(std::int64_t end) {
  while (!events_.empty() && events_.top().at <= end && outcome_.violation.empty()) {
    auto event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ = event.at;
    ++outcome_.steps;
    event.what();
  }
  now_ = std::max(now_, end);
}

// --- hosts ---

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
    count("stamp refused");
    host.busy.erase(vm);
    keeper.refused(vm, *found);
    return;
  }
  if (verdict == StampVerdict::write) {
    if (found && found->holder.token >= grant.token) {
      violate(fmt::format("{}'s stamp goes back from {} to {}", vm, found->holder.token, grant.token));
    }
    disks_[vm] = {.holder = {host.id, grant.token}, .source = grant.source};
    note("{}: {} is stamped {}", host.id, vm, grant.token);
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

// --- messages ---

std::int64_t World::delay() {
  if (!faults_) return between(2, 50);
  if (flavour_ == Flavour::by_time && chance(0.1)) return between(8'000, 13'000);
  return chance(0.03) ? between(1'000, 14'000) : between(2, 300);
}

void World::to_manager(Host* from, std::function<Actions(Availability&)> what) {
  for (int copies = faults_ && chance(0.05) ? 2 : 1; copies > 0; --copies) {
    if (from && (!from->link || !manager_link_)) continue;
    if (faults_ && chance(0.05)) continue;
    in(delay(), [this, what, from] {
      if (from && !manager_link_) return;
      if (now_ < manager_paused_until_) {
        manager_waiting_.push_back([this, what] { on_manager(what); });
        return;
      }
      on_manager(what);
    });
  }
}

void World::to_agent(Host& host, std::function<void()> what) {
  for (int copies = faults_ && chance(0.05) ? 2 : 1; copies > 0; --copies) {
    if (faults_ && chance(0.05)) continue;
    in(delay(), [this, what, &host] {
      // Whichever process is there by then gets it.
      if (host.link && manager_link_ && host.keeper) on_agent(host, 0, what);
    });
  }
}

Host* World::witness(const NodeId& about, bool needs_pool) {
  std::vector<Host*> able;
  for (auto& host : hosts_) {
    if (host.id != about && agent_runs(host) && host.link && manager_link_ && (host.pool || !needs_pool))
      able.push_back(&host);
  }
  return able.empty() ? nullptr : able[below(able.size())];
}

void World::carry_out(const Action& action) {
  if (const auto* answer = std::get_if<SendAnswer>(&action)) {
    auto& host = *by_id_.at(answer->node);
    to_agent(host, [this, &host, answer = answer->answer] {
      host.keeper->answered(answer, time_of(host));
      persist(host);
    });
  } else if (const auto* peers = std::get_if<AskPeers>(&action)) {
    if (!witness(peers->node, false)) return;
    in(delay(), [this, peers = *peers] {
      const auto& host = *by_id_.at(peers.node);
      const bool seen = host.on && host.link && now_ >= host.asleep_until;
      to_manager(nullptr, [peers, seen](Availability& manager) {
        manager.peers_answered(peers.node, peers.request, seen);
        return Actions{};
      });
    });
  } else if (const auto* look = std::get_if<ReadHeartbeat>(&action)) {
    if (!witness(look->node, true)) return;
    in(delay(), [this, look = *look] {
      to_manager(nullptr, [look, count = heartbeats_[look.node]](Availability& manager) {
        manager.heartbeat_read(look.node, look.request, count);
        return Actions{};
      });
    });
  } else if (const auto* off = std::get_if<PowerOff>(&action)) {
    power_order(*by_id_.at(off->node), off->request);
  } else if (const auto* read = std::get_if<ReadPower>(&action)) {
    power_reading(*by_id_.at(read->node), read->request);
  } else if (const auto* claim = std::get_if<WriteClaim>(&action)) {
    if (!witness(claim->node, true)) return;
    in(delay(), [this, claim = *claim] {
      claims_[claim.node].insert(claim.request);
      to_manager(nullptr, [this, claim](Availability& manager) {
        manager.claim_written(claim.node, claim.request, manager_time());
        return Actions{};
      });
    });
  } else if (const auto* no_claim = std::get_if<RemoveClaim>(&action)) {
    if (witness(no_claim->node, true)) in(delay(), [this, no = *no_claim] { claims_[no.node].erase(no.request); });
  } else if (const auto* locks = std::get_if<FreeLocks>(&action)) {
    if (faults_ && chance(0.3)) return;
    in(between(200, 3'000), [this, locks = *locks] {
      to_manager(nullptr, [locks](Availability& manager) {
        manager.locks_freed(locks.node, locks.request);
        return Actions{};
      });
    });
  } else if (const auto* ask = std::get_if<Ask>(&action)) {
    note("asked: {} {}", ask->node, ask->text);
    count("person asked");
    person(*ask);
  } else if (const auto* given = std::get_if<GiveUp>(&action)) {
    count("guest given up");
    in(between(20'000, 60'000), [this, vm = given->vm] {
      on_manager([vm](Availability& manager) {
        manager.person_starts(vm);
        return Actions{};
      });
    });
  } else if (const auto* placed = std::get_if<Place>(&action)) {
    note("{} is placed on {} under {}: {}", placed->vm, placed->node, placed->token, placed->why);
    count(placed->why.starts_with("its node") ? "restarted elsewhere" : "placed");
  } else if (const auto* say = std::get_if<Say>(&action)) {
    note("{}: {}", say->about, say->text);
  }
}

// --- power ---

void World::power_order(Host& host, RequestNumber request) {
  if (host.bmc == Bmc::dead || host.bmc == Bmc::none) return;
  const auto takes = host.bmc == Bmc::slow ? between(5'000, 40'000) : between(200, 3'000);
  if (host.bmc != Bmc::lies) in(takes, [this, &host] { power_off(host, "switched off by the manager"); });
  in(takes + 10, [this, &host, request] {
    to_manager(nullptr, [id = host.id, request](Availability& manager) {
      manager.power_ordered(id, request);
      return Actions{};
    });
  });
}

void World::power_reading(Host& host, RequestNumber request) {
  if (host.bmc == Bmc::dead || host.bmc == Bmc::none) return;
  in(host.bmc == Bmc::slow ? between(3'000, 30'000) : between(50, 1'000), [this, &host, request] {
    const bool off = host.bmc == Bmc::lies || !host.on;
    const auto reading = chance(0.05) ? PowerReading::unknown : off ? PowerReading::off : PowerReading::on;
    to_manager(nullptr, [this, id = host.id, request, reading](Availability& manager) {
      manager.power_read(id, request, reading, manager_time());
      return Actions{};
    });
  });
}

// Goes and looks; tells only what is so.
void World::person(const Ask& question) {
  in(between(5'000, 30'000), [this, question] {
    if (question.node.empty()) {
      const bool all_off = std::all_of(hosts_.begin(), hosts_.end(), [&](const Host& host) {
        return !host.on || !manager_ || manager_->stage(host.id) == Stage::well;
      });
      if (!all_off) return;
      in(between(500, 3'000), [this, question] {
        on_manager([question](Availability& manager) {
          manager.person_says_go_on(question.question);
          return Actions{};
        });
      });
      return;
    }
    auto& host = *by_id_.at(question.node);
    if (host.on && chance(0.5) && faults_) return;
    if (host.on && (!faults_ || !manager_ || manager_->stage(host.id) != Stage::asking)) return;
    power_off(host, "switched off by hand");
    in(between(500, 3'000), [this, question] {
      on_manager([question](Availability& manager) {
        manager.person_says_off(question.node, question.question);
        return Actions{};
      });
    });
  });
}

// --- the manager ---

BootTime World::manager_time() const {
  return BootTime(Span(static_cast<std::int64_t>(static_cast<double>(now_ + manager_offset_) * manager_rate_)));
}

void World::start_manager() {
  if (manager_) return;
  note("manager starts");
  // Perhaps its machine was restarted, too, and its clock begins anew.
  manager_offset_ = between(0, 1'000'000) - now_;
  manager_ = std::make_unique<Availability>(timing_, saved_, engine_() >> 1, manager_time());
  for (const auto& host : hosts_) {
    manager_->know(NodeFacts{.node = host.id,
                             .power_control = host.bmc != Bmc::none,
                             .locks = {model::PoolId("pool")},
                             .pools = {},
                             .cpus = 100,
                             .memory = 100_GiB},
                   manager_time());
  }
  for (const auto& guest : guests_) manager_->know(guest);
  ++manager_life_;
  in(10, [this, life = manager_life_] {
    if (life == manager_life_) manager_tick();
  });
}

void World::kill_manager() {
  if (!manager_) return;
  note("manager dies");
  manager_.reset();
  ++manager_life_;
  manager_paused_until_ = 0;
  manager_waiting_.clear();
  in(flavour_ == Flavour::restored ? between(500, 5'000) : between(500, 40'000), [this] { start_manager(); });
}

void World::on_manager(const std::function<Actions(Availability&)>& what) {
  if (!manager_) return;
  const auto actions = what(*manager_);
  if (manager_->take_changed()) {
    const bool dies = faults_ && chance(0.0005);
    if (dies && chance(0.5)) return kill_manager();
    const bool grants = std::any_of(actions.begin(), actions.end(),
                                    [](const Action& action) { return std::holds_alternative<Place>(action); });
    if (grants && backups_.size() < 100) backups_.push_back(saved_);
    saved_ = manager_->record();
    if (faults_ && chance(flavour_ == Flavour::restored ? 0.01 : 0.001)) backups_.push_back(saved_);
    if (dies) return kill_manager();
  }
  for (const auto& action : actions) carry_out(action);
}

void World::manager_tick() {
  in(1'000, [this, life = manager_life_] {
    if (life == manager_life_) manager_tick();
  });
  if (now_ < manager_paused_until_) return;
  on_manager([this](Availability& manager) { return manager.tick(manager_time()); });
}

}  // namespace bridgehead::availability::testing
