#include "availability/node_watch.h"

namespace bridgehead::availability {

using model::NodeId;

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::well: return "well";
    case Stage::suspected: return "suspected";
    case Stage::fencing: return "being switched off";
    case Stage::verifying: return "being verified off";
    case Stage::lapsing: return "its leases are ending";
    case Stage::asking: return "a person is asked";
    case Stage::freeing: return "its locks are being freed";
    case Stage::down: return "down";
  }
  return "";
}

NodeWatch::NodeWatch(NodeId node, const Timing& timing, NodeRecord record, RequestNumber first_request, BootTime now)
    : node_(std::move(node)), timing_(timing), record_(std::move(record)), next_request_(first_request), since_(now) {
  // An order of the process before this one may still be carried out, but what led to it may be long past: seen anew.
  if (record_.fencing) stage_ = Stage::suspected;
  record_.fencing = false;
  if (record_.down) stage_ = Stage::down;
}

void NodeWatch::enter(Stage stage, BootTime now) {
  stage_ = stage;
  since_ = now;
  looks_ = {};
  record_.fencing = stage == Stage::fencing || stage == Stage::verifying;
}

void NodeWatch::say(Actions& actions, std::string text) {
  text_ = text;
  actions.push_back(Say{node_.str(), std::move(text)});
}

void NodeWatch::ask(std::string text, BootTime now, Actions& actions) {
  if (stage_ != Stage::lapsing) enter(Stage::asking, now);
  question_ = next_request_++;
  said_off_ = false;
  text_ = text;
  actions.push_back(Ask{question_, node_, std::move(text)});
}

// --- signs of life ---

void NodeWatch::heard(bool storage_well, BootTime now, Actions& actions) {
  last_heard_ = now;
  if (storage_well) {
    storage_lost_.reset();
  } else if (!storage_lost_) {
    storage_lost_ = now;
  }
  switch (stage_) {
    case Stage::suspected: return return_to_well("it is heard again", now, actions);
    case Stage::lapsing:
    case Stage::asking: return return_to_well("it is heard again; nothing was taken from it", now, actions);
    case Stage::down: return return_to_well("it is back", now, actions);
    case Stage::well:
    case Stage::fencing:    // what it says now is before it is off
    case Stage::verifying:  // see tick_off_read
    case Stage::freeing: return;
  }
}

void NodeWatch::return_to_well(const char* why, BootTime now, Actions& actions) {
  if (stage_ == Stage::suspected) {
    const bool again = came_back_ && now < *came_back_ + timing_.flap_window;
    flaps_ = again ? flaps_ + 1 : 1;
    came_back_ = now;
  }
  if (question_ != 0) actions.push_back(Withdraw{std::exchange(question_, 0)});
  remove_claim(actions);
  said_off_ = false;
  record_.down = record_.dead = false;
  record_.finding.clear();
  locks_.clear();  // what its client from before still holds it frees itself
  locks_late_ = false;
  enter(Stage::well, now);
  say(actions, why);
}

void NodeWatch::remove_claim(Actions& actions) {
  if (record_.claim != 0) actions.push_back(RemoveClaim{node_, std::exchange(record_.claim, 0)});
  claimed_.reset();
}

void NodeWatch::look(BootTime now, Actions& actions) {
  if (now < looks_.next) return;
  looks_.next = now + timing_.look_every;
  looks_.heartbeat_asked.emplace(next_request_, now);
  actions.push_back(ReadHeartbeat{node_, next_request_++});
  looks_.peers_asked.emplace(next_request_, now);
  actions.push_back(AskPeers{node_, next_request_++});
}

void NodeWatch::peers_answered(RequestNumber request, bool seen) {
  if (looks_.peers_asked.erase(request) == 0) return;
  looks_.peers_looked = true;
  looks_.peers_see |= seen;
}

void NodeWatch::heartbeat_read(RequestNumber request, std::uint64_t count) {
  const auto asked = looks_.heartbeat_asked.find(request);
  if (asked == looks_.heartbeat_asked.end()) return;
  const auto began = asked->second;
  looks_.heartbeat_asked.erase(asked);
  if (!looks_.first) {
    looks_.first = looks_.last = began;
    looks_.count = count;
    return;
  }
  looks_.moved |= count != looks_.count;
  looks_.first = std::min(*looks_.first, began);
  looks_.last = std::max(*looks_.last, began);
}

// --- suspicion ---

NodeWatch::Verdict NodeWatch::tick(const Surroundings& around, BootTime now, Actions& actions) {
  switch (stage_) {
    case Stage::well: tick_well(around, now, actions); break;
    case Stage::suspected: tick_suspected(around, now, actions); break;
    case Stage::fencing: tick_power(around, now, actions); break;
    case Stage::verifying:
      if (off_read_) return tick_off_read(around, now, actions);
      tick_power(around, now, actions);
      break;
    case Stage::lapsing: return tick_lapsing(around, now, actions);
    case Stage::asking: return tick_asking(around, now, actions);
    case Stage::freeing: tick_freeing(now, actions); break;
    case Stage::down: tick_down(around, now, actions); break;
  }
  return Verdict::none;
}

void NodeWatch::tick_well(const Surroundings& around, BootTime now, Actions& actions) {
  if (around.left_alone) return;
  if (came_back_ && now >= *came_back_ + timing_.flap_window) flaps_ = 0;
  // One that wasn't heard yet has only just joined, or this process has just begun: both have the same time for it.
  const auto silent_from = std::max(last_heard_.value_or(since_ + timing_.grace), around.listening_from);
  if (now >= silent_from + timing_.suspect_after * (1 + std::min(flaps_, 4))) {
    enter(Stage::suspected, now);
    said_cut_off_ = false;
    say(actions, fmt::format("not heard for {} s; it is looked for by other ways",
                             std::chrono::duration_cast<std::chrono::seconds>(now - silent_from).count()));
    return;
  }
  if (storage_lost_ && now >= *storage_lost_ + timing_.patience && around.others_have_storage && around.worth_fencing) {
    begin_fencing("its shared pool doesn't answer it, though it answers others; its guests hang", false, around, now,
                  actions);
  }
}

void NodeWatch::tick_suspected(const Surroundings& around, BootTime now, Actions& actions) {
  look(now, actions);
  if (now < since_ + timing_.check_for || around.left_alone || now < around.listening_from) return;
  const bool still = looks_.first && *looks_.last >= *looks_.first + timing_.look_every && !looks_.moved;
  const bool late = now >= since_ + timing_.patience;
  if (looks_.peers_see && looks_.moved) {
    if (!said_cut_off_) {
      say(actions,
          "it lives: other nodes reach it and it writes to the shared pool; only the manager doesn't hear it. It is "
          "left alone: look at the network between the two");
    }
    said_cut_off_ = true;
    if (late) enter(Stage::suspected, now);  // looked at anew: it may have died since
    return;
  }
  if (!around.worth_fencing) return;
  if (looks_.peers_looked && !looks_.peers_see && still) {
    begin_fencing("it isn't heard, other nodes don't reach it, and it doesn't write to the shared pool", true, around,
                  now, actions);
  } else if (late && looks_.moved) {
    begin_fencing("it isn't heard and no other node reaches it; it still writes to the shared pool: its link is cut",
                  false, around, now, actions);
  } else if (late && looks_.peers_see && still) {
    begin_fencing("its address answers, but its agent neither speaks nor writes to the shared pool: it hangs", false,
                  around, now, actions);
  } else if (late && (looks_.peers_looked || still)) {
    begin_fencing(looks_.peers_looked
                      ? "it isn't heard and nobody could look into the shared pool for it"
                      : "it isn't heard, doesn't write to the shared pool, and no other node could look for it",
                  false, around, now, actions);
  } else if (late && question_ == 0) {
    ask("It isn't heard, and no other node could look for it, so nothing is known of it. Is it off? Its guests wait.",
        now, actions);
  }
}

// --- power ---

void NodeWatch::begin_fencing(std::string finding, bool dead, const Surroundings& around, BootTime now,
                              Actions& actions) {
  record_.finding = std::move(finding);
  record_.dead = dead;
  attempts_ = 0;
  power_fault_.reset();
  off_read_.reset();
  if (!around.power_control) return without_power(around, "it has no power control", now, actions);
  if (record_.distrusted) {
    return without_power(around, "its power control has said 'off' of it while it ran", now, actions);
  }
  enter(Stage::fencing, now);
  ordered_ = false;
  power_request_ = 0;
  say(actions, fmt::format("{}. It is switched off, so that its guests can run elsewhere", record_.finding));
}

void NodeWatch::tick_power(const Surroundings& around, BootTime now, Actions& actions) {
  if (power_fault_) return power_failed(around, *std::exchange(power_fault_, std::nullopt), now, actions);
  const bool overdue = power_request_ != 0 && now >= power_asked_ + timing_.power_deadline;
  if (stage_ == Stage::fencing) {
    if (power_request_ == 0) {
      power_request_ = next_request_++;
      power_asked_ = now;
      actions.push_back(PowerOff{node_, power_request_});
    } else if (ordered_ || overdue) {
      enter(Stage::verifying, now);  // whatever the order came to: what counts is what it is seen to be
      power_request_ = next_request_++;
      power_asked_ = now;
      actions.push_back(ReadPower{node_, power_request_});
    }
    return;
  }
  if (overdue) power_failed(around, "its power control doesn't answer", now, actions);
}

void NodeWatch::power_ordered(RequestNumber request) {
  if (stage_ == Stage::fencing && request == power_request_) ordered_ = true;
}

void NodeWatch::power_read(RequestNumber request, PowerReading reading, BootTime now) {
  if (stage_ != Stage::verifying || request != power_request_ || off_read_) return;
  if (reading == PowerReading::off) {
    off_read_ = now;
    looks_ = {};  // what was seen of it before doesn't count any more
  } else {
    power_fault_ = reading == PowerReading::on ? "its power control says that it is on after it was ordered off"
                                               : "its power control can't say whether it is on";
  }
}

void NodeWatch::power_failed(const Surroundings& around, std::string what, BootTime now, Actions& actions) {
  if (++attempts_ >= timing_.power_attempts) {
    return without_power(around, fmt::format("{} ({} times)", what, attempts_), now, actions);
  }
  enter(Stage::fencing, now);
  ordered_ = false;
  power_request_ = 0;
}

// "Off" is believed when nothing of the node lives for a while: it isn't heard, and others see its heartbeat stand
// still.
NodeWatch::Verdict NodeWatch::tick_off_read(const Surroundings& around, BootTime now, Actions& actions) {
  look(now, actions);
  const bool speaks = last_heard_ && *last_heard_ > *off_read_ + timing_.quiet / 2;
  if (speaks || looks_.moved || looks_.peers_see) {
    record_.distrusted = true;
    without_power(
        around,
        fmt::format("its power control says that it is off, but it {}", speaks         ? "speaks"
                                                                        : looks_.moved ? "writes to the shared pool"
                                                                                       : "answers other nodes"),
        now, actions);
    return Verdict::none;
  }
  if (looks_.first && *looks_.last >= *looks_.first + timing_.quiet) {
    say(actions, "it is off: its power control says so, it is silent, and others see nothing of it");
    begin_freeing(around.locks, now, actions);
    return Verdict::off;
  }
  if (now >= *off_read_ + timing_.power_deadline + timing_.quiet) {
    without_power(around, "its power control says that it is off, but no other node could look for it", now, actions);
  }
  return Verdict::none;
}

// --- without it ---

void NodeWatch::without_power(const Surroundings& around, std::string why, BootTime now, Actions& actions) {
  if (around.ends_by_time) {
    enter(Stage::lapsing, now);
    claim_asked_.reset();
    say(actions, fmt::format("{}; {}. By its watchdog its guests end with their leases", record_.finding, why));
    if (around.needs_proof) {
      ask(fmt::format("{}; {}. Some of its guests can be started elsewhere only when it is off for certain. Is it off?",
                      record_.finding, why),
          now, actions);
    }
    return;
  }
  ask(fmt::format(
          "{}; {}. Its guests can be started elsewhere only when it is off for certain. Switch it off by hand, then "
          "confirm",
          record_.finding, why),
      now, actions);
}

NodeWatch::Verdict NodeWatch::tick_lapsing(const Surroundings& around, BootTime now, Actions& actions) {
  if (said_off_) {
    begin_freeing(around.locks, now, actions);
    return Verdict::off;
  }
  if (!claimed_ && (!claim_asked_ || now >= *claim_asked_ + timing_.power_deadline)) {
    if (record_.claim == 0) record_.claim = next_request_++;
    claim_asked_ = now;
    actions.push_back(WriteClaim{node_, record_.claim});
  }
  if (!claimed_ && question_ == 0 && now >= since_ + timing_.patience) {
    ask(fmt::format("{}; no other node could write into the shared pool that its guests are taken from it. Is it off?",
                    record_.finding),
        now, actions);
  }
  if (!claimed_ || now < around.lapses) return Verdict::none;
  say(actions, "the leases of its guests that end by time have ended");
  if (around.needs_proof) {
    // The question stays; the claim, too, until it is heard.
    if (question_ == 0)
      ask("Some of its guests can be started elsewhere only when it is off. Is it off?", now, actions);
    enter(Stage::asking, now);
  } else {
    begin_freeing(around.locks_when_lapsed, now, actions);
  }
  return Verdict::lapsed;
}

NodeWatch::Verdict NodeWatch::tick_asking(const Surroundings& around, BootTime now, Actions& actions) {
  if (said_off_) {
    say(actions, "a person says that it is off");
    begin_freeing(around.locks, now, actions);
    return Verdict::off;
  }
  if (now < since_ + timing_.ask_every || around.left_alone) return Verdict::none;
  if (question_ != 0) actions.push_back(Withdraw{std::exchange(question_, 0)});
  if (around.worth_fencing) {
    enter(Stage::suspected, now);  // perhaps its power control works now
  } else {
    since_ = now;
  }
  return Verdict::none;
}

void NodeWatch::person_says_off(RequestNumber question) {
  if (question_ != 0 && question == question_ && (stage_ == Stage::asking || stage_ == Stage::lapsing))
    said_off_ = true;
}

void NodeWatch::claim_written(RequestNumber request, BootTime now) {
  if (stage_ == Stage::lapsing && request == record_.claim && !claimed_) claimed_ = now;
}

// --- locks ---

namespace {
constexpr auto kLocksFreed = "its locks are freed; its guests may run elsewhere";
constexpr auto kLocksLate =
    "its locks could not all be freed in time; guests are tried elsewhere all the same, and start when their file "
    "systems let go";
}  // namespace

void NodeWatch::begin_freeing(const std::vector<model::PoolId>& locks, BootTime now, Actions& actions) {
  if (question_ != 0) actions.push_back(Withdraw{std::exchange(question_, 0)});
  said_off_ = false;
  enter(Stage::freeing, now);
  locks_.clear();
  for (const auto& pool : locks) locks_.emplace(next_request_++, pool);
  locks_asked_ = now - timing_.power_deadline;
}

void NodeWatch::locks_freed(RequestNumber request) { locks_.erase(request); }

void NodeWatch::tick_freeing(BootTime now, Actions& actions) {
  locks_late_ = !locks_.empty() && now >= since_ + timing_.lock_deadline;
  if (locks_.empty() || locks_late_) {
    record_.down = true;
    // What wrote in the shared pool is dead, or speaks to us first.
    remove_claim(actions);
    enter(Stage::down, now);
    say(actions, locks_late_ ? kLocksLate : kLocksFreed);
    return;
  }
  ask_for_locks(timing_.power_deadline, now, actions);
}

void NodeWatch::ask_for_locks(Span every, BootTime now, Actions& actions) {
  if (now < locks_asked_ + every) return;
  locks_asked_ = now;
  for (const auto& [request, pool] : locks_) actions.push_back(FreeLocks{node_, pool, request});
}

void NodeWatch::tick_down(const Surroundings& around, BootTime now, Actions& actions) {
  // Leases of its that weren't known when it was found down, by restored records: they aren't over.
  if (around.worth_fencing) return doubt(now);
  if (!std::exchange(locks_late_, !locks_.empty())) return;
  if (locks_.empty()) return say(actions, kLocksFreed);
  ask_for_locks(timing_.lock_deadline, now, actions);
}

}  // namespace bridgehead::availability
