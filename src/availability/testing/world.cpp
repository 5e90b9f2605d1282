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
  const auto drift = environment == Environment::clocks_beyond_bound ? 0.6 : 0.02;
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
    if (guest.terms == Terms::stop) wishes_[guest.vm] = Terms::stop;
  }
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
    // Longest: grace, a person asked twice, locks that aren't freed, learning; and all that again when what had ended
    // by time was kept.
    run_until(now_ + 800'000);
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
    if (say->text.find("end by time have ended") != std::string::npos) count("leases ended by time");
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
    if (grants && backups_.size() < 100) backups_.push_back({saved_, wishes_, now_});
    saved_ = manager_->record();
    if (faults_ && chance(flavour_ == Flavour::restored ? 0.01 : 0.001)) backups_.push_back({saved_, wishes_, now_});
    if (dies) return kill_manager();
  }
  for (const auto& action : actions) carry_out(action);
}

void World::manager_tick() {
  in(1'000, [this, life = manager_life_] {
    if (life == manager_life_) manager_tick();
  });
  if (now_ < manager_paused_until_) return;
  on_manager([this](Availability& manager) {
    for (const auto& [vm, wish] : wishes_) {
      const auto* leases = manager.book().leases(vm);
      if (!leases || leases->outstanding.empty()) continue;
      const auto entry = leases->outstanding.front();
      manager.adopt(vm, {entry.node, entry.token}, wish);
    }
    return manager.tick(manager_time());
  });
}

}  // namespace bridgehead::availability::testing
