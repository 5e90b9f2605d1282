#include "availability/availability.h"

namespace bridgehead::availability {

using model::NodeId;
using model::VmId;

Availability::Availability(const Timing& timing, AvailabilityRecord record, std::uint64_t instance, BootTime now)
    : timing_(timing),
      book_(timing, std::move(record.book), now),
      known_nodes_(std::move(record.nodes)),
      known_guests_(std::move(record.guests)),
      next_request_(instance),
      instance_(instance),
      listening_from_(now + timing.grace) {}

// --- what is known ---

Availability::Node* Availability::find(const NodeId& node) {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

void Availability::know(const NodeFacts& facts, BootTime now) {
  if (auto* node = find(facts.node)) {
    node->facts = facts;
    return;
  }
  const auto record = known_nodes_[facts.node];
  // Numbers of their own for each watch, far from the others'.
  const auto first = instance_ + ((nodes_.size() + 1) << 32);
  nodes_.emplace(facts.node, Node{facts, NodeWatch(facts.node, timing_, record, first, now), record});
}

void Availability::know(const GuestFacts& facts) {
  const auto known = guests_.find(facts.vm);
  if (known != guests_.end()) {
    known->second.facts = facts;
    return;
  }
  auto record = known_guests_[facts.vm];
  if (record.home.empty()) record.home = facts.home;
  guests_.emplace(facts.vm, Guest{.facts = facts, .record = record});
  changed_ = true;
}

void Availability::forget(const NodeId& node) {
  book_.node_off(node);
  nodes_.erase(node);
  known_nodes_.erase(node);
  changed_ = true;
}

void Availability::forget(const VmId& vm) {
  book_.forget(vm);
  guests_.erase(vm);
  known_guests_.erase(vm);
  moves_.erase(vm);
  changed_ = true;
}

AvailabilityRecord Availability::record() const {
  AvailabilityRecord record{.book = book_.record(), .nodes = known_nodes_, .guests = known_guests_};
  for (const auto& [id, node] : nodes_) record.nodes[id] = node.watch.record();
  for (const auto& [id, guest] : guests_) record.guests[id] = guest.record;
  return record;
}

Stage Availability::stage(const NodeId& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? Stage::down : found->second.watch.stage();
}

std::string Availability::state_text(const NodeId& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? "" : found->second.watch.state_text();
}

const GuestRecord* Availability::guest(const VmId& vm) const {
  const auto found = guests_.find(vm);
  return found == guests_.end() ? nullptr : &found->second.record;
}

std::string Availability::waits_for(const VmId& vm) const {
  const auto found = waits_.find(vm);
  return found == waits_.end() ? "" : found->second;
}

bool Availability::distrusted(const NodeId& node) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.watch.record().distrusted;
}

// --- what is heard ---

void Availability::adopt(const VmId& vm, const Holder& holder, Terms terms) {
  book_.adopt(vm, holder, terms);
  changed_ = true;
}

void Availability::number_from(Token first) {
  book_.number_from(first);
  changed_ = true;
}

Actions Availability::renewed(const NodeId& id, const Renewal& renewal, BootTime now) {
  Actions actions;
  auto* node = find(id);
  if (!node) return actions;
  node->watch.heard(renewal.storage_well, now, actions);
  auto answer = book_.renew(id, renewal, node->watch.withholds(), now);
  changed_ = true;
  if (answer) actions.push_back(SendAnswer{id, std::move(*answer)});
  if (node->watch.stage() == Stage::well) {
    for (const auto claim : renewal.claims) actions.push_back(RemoveClaim{id, claim});
  }
  return actions;
}

void Availability::peers_answered(const NodeId& node, RequestNumber request, bool seen) {
  if (auto* known = find(node)) known->watch.peers_answered(request, seen);
}

void Availability::heartbeat_read(const NodeId& node, RequestNumber request, std::uint64_t count) {
  if (auto* known = find(node)) known->watch.heartbeat_read(request, count);
}

void Availability::power_ordered(const NodeId& node, RequestNumber request) {
  if (auto* known = find(node)) known->watch.power_ordered(request);
}

void Availability::power_read(const NodeId& node, RequestNumber request, PowerReading reading, BootTime now) {
  if (auto* known = find(node)) known->watch.power_read(request, reading, now);
}

void Availability::claim_written(const NodeId& node, RequestNumber request, BootTime now) {
  if (auto* known = find(node)) known->watch.claim_written(request, now);
}

void Availability::locks_freed(const NodeId& node, RequestNumber request) {
  if (auto* known = find(node)) known->watch.locks_freed(request);
}

void Availability::person_says_off(const NodeId& node, RequestNumber question) {
  if (auto* known = find(node)) known->watch.person_says_off(question);
}

void Availability::person_says_go_on(RequestNumber question) {
  if (question != 0 && question == storm_question_) storm_allowed_ = true;
}

void Availability::person_trusts_power_control(const NodeId& node) {
  if (auto* known = find(node)) known->watch.trust_power_control();
  changed_ = true;
}

void Availability::person_starts(const VmId& vm) {
  const auto found = guests_.find(vm);
  if (found == guests_.end()) return;
  found->second.record.given_up = false;
  found->second.record.deaths = 0;
  changed_ = true;
}

// --- nodes ---

bool Availability::storm(BootTime now, Actions& actions) {
  std::size_t silent = 0;
  for (const auto& [id, node] : nodes_) {
    if (node.facts.maintenance || node.watch.stage() == Stage::well) continue;
    // Nodes that have been down for long are no news.
    if (node.watch.stage() != Stage::down || now < node.watch.since() + timing_.storm_window) ++silent;
  }
  const auto most = std::max<std::size_t>(1, nodes_.size() / timing_.storm_share);
  if (silent <= most) {
    if (storm_question_ != 0) actions.push_back(Withdraw{std::exchange(storm_question_, 0)});
    storm_allowed_ = false;
    return false;
  }
  if (storm_allowed_) return false;
  if (storm_question_ != 0 && now >= storm_asked_ + timing_.ask_every) {
    actions.push_back(Withdraw{std::exchange(storm_question_, 0)});
  }
  if (storm_question_ == 0) {
    storm_asked_ = now;
    storm_question_ = next_request_++;
    actions.push_back(
        Ask{storm_question_, NodeId(),
            fmt::format("{} of {} nodes fell silent within {} minutes, which looks like the network or the "
                        "power of a rack. Nothing is switched off or restarted. Look at it; if they are dead, "
                        "say that it should go on",
                        silent, nodes_.size(),
                        std::chrono::duration_cast<std::chrono::minutes>(timing_.storm_window).count())});
  }
  return true;
}

NodeWatch::Surroundings Availability::surroundings(const Node& node, bool storm) const {
  NodeWatch::Surroundings around{.listening_from = listening_from_,
                                 .left_alone = storm || node.facts.maintenance,
                                 .others_have_storage = false,
                                 .power_control = node.facts.power_control,
                                 .locks = node.facts.locks,
                                 .lapses = {},
                                 .locks_when_lapsed = {}};
  for (const auto& [id, other] : nodes_) {
    around.others_have_storage |=
        id != node.facts.node && other.watch.stage() == Stage::well && book_.heard(id) && other.watch.storage_well();
  }
  for (const auto& [vm, terms] : book_.held_by(node.facts.node)) {
    const auto guest = guests_.find(vm);
    if (guest == guests_.end() || !guest->second.facts.wanted) continue;
    // One that lives elsewhere, and half came here: it can't be started there while this node may run it.
    const bool waited_for = guest->second.facts.restart || guest->second.record.home != node.facts.node;
    if (terms == Terms::own || !waited_for) continue;
    around.worth_fencing = true;
    (terms == Terms::stop ? around.ends_by_time : around.needs_proof) = true;
  }
  around.locks_when_lapsed = node.facts.locks;
  for (const auto& [vm, terms] : book_.held_by(node.facts.node)) {
    const auto guest = guests_.find(vm);
    if (terms == Terms::stop || guest == guests_.end() || !guest->second.facts.wanted) continue;
    std::erase_if(around.locks_when_lapsed,
                  [&](const model::PoolId& pool) { return guest->second.facts.pools.contains(pool); });
  }
  if (node.watch.claimed()) around.lapses = book_.lapses(*node.watch.claimed());
  return around;
}

// A guest under which one host after the other dies may be what kills them.
void Availability::note_deaths(const Node& node, Actions& actions) {
  if (!node.watch.record().dead) return;
  std::set<VmId> under;  // held twice is died once: after a move that failed, by the lease of before and by a new one
  for (const auto& [vm, terms] : book_.held_by(node.facts.node)) {
    if (terms != Terms::own) under.insert(vm);
  }
  for (const auto& vm : under) {
    const auto guest = guests_.find(vm);
    if (guest == guests_.end() || guest->second.record.home != node.facts.node) continue;
    auto& record = guest->second.record;
    if (++record.deaths < 2 || !guest->second.facts.restart || record.given_up) continue;
    record.given_up = true;
    actions.push_back(
        GiveUp{vm,
               "two hosts in a row died soon after it was started there, so it may be what kills them. It "
               "stays off until a person starts it"});
  }
}

Actions Availability::tick(BootTime now, const RestartRules& rules) {
  Actions actions;
  if (last_tick_ && now >= *last_tick_ + timing_.own_gap) {
    // What was sent to us meanwhile is perhaps still to be read.
    listening_from_ = now + timing_.grace;
    for (auto& [id, node] : nodes_) {
      if (node.watch.stage() == Stage::suspected) node.watch.doubt(now);
    }
    actions.push_back(
        Say{"", fmt::format("the manager itself was away for {} s; silence counts from now on",
                            std::chrono::duration_cast<std::chrono::seconds>(now - *last_tick_).count())});
  }
  last_tick_ = now;
  const bool storming = storm(now, actions);
  for (auto& [id, node] : nodes_) {
    const auto verdict = node.watch.tick(surroundings(node, storming), now, actions);
    if (verdict != NodeWatch::Verdict::none) {
      note_deaths(node, actions);
      if (verdict == NodeWatch::Verdict::off) {
        book_.node_off(id);
      } else {
        book_.node_lapsed(id, *node.watch.claimed(), now);
      }
      changed_ = true;
    }
    changed_ |= node.watch.record() != node.saved;
    node.saved = node.watch.record();
  }
  follow_moves(now);
  place(storming, now, rules, actions);
  return actions;
}

// --- guests ---

Result<Grant> Availability::begin_move(const VmId& vm, const NodeId& to, BootTime now) {
  const auto guest = guests_.find(vm);
  const auto* node = find(to);
  if (guest == guests_.end() || !node) return fail(ErrorCode::not_found, "no such guest or node");
  if (!may_host(*node)) return fail(ErrorCode::failed_precondition, "node {} can't take guests now", to);
  const auto granted = book_.grant_incoming(vm, to, terms_on(guest->second.facts, to), now);
  if (granted) moves_.insert(vm);
  changed_ = true;
  return granted;
}

void Availability::cancel_move(const VmId& vm) {
  const auto* leases = book_.leases(vm);
  if (!leases) return;
  for (const auto& entry : leases->outstanding) {
    if (entry.kind != GrantKind::incoming || book_.runs(vm, entry.node)) continue;
    book_.recall(vm, entry.node);
    break;
  }
  moves_.erase(vm);
  changed_ = true;
}

// A guest's home is where it went. What the process before this one began and nobody follows is ended.
void Availability::follow_moves(BootTime now) {
  for (auto& [vm, guest] : guests_) {
    const auto* leases = book_.leases(vm);
    if (!leases) continue;
    if (leases->outstanding.size() == 1) {
      const auto& holder = leases->outstanding.front().node;
      moves_.erase(vm);
      if (guest.record.home == holder) continue;
      guest.record.home = holder;
      guest.runs_since.reset();
      changed_ = true;
    } else if (leases->outstanding.size() > 1 && !moves_.contains(vm) && !book_.learning(now)) {
      cancel_move(vm);
    }
  }
}

bool Availability::may_host(const Node& node) const {
  return node.facts.schedulable && !node.facts.maintenance && node.watch.stage() == Stage::well &&
         node.watch.storage_well() && book_.heard(node.facts.node);
}

// Without a watchdog time proves nothing.
Terms Availability::terms_on(const GuestFacts& guest, const NodeId& node) const {
  return guest.terms == Terms::stop && !book_.has_watchdog(node) ? Terms::keep : guest.terms;
}

std::vector<Room> Availability::rooms() const {
  std::map<NodeId, Room> rooms;
  for (const auto& [id, node] : nodes_) {
    if (!may_host(node)) continue;
    rooms[id] = {.node = id,
                 .cpus = node.facts.cpus,
                 .memory = node.facts.memory,
                 .pools = node.facts.pools,
                 .starts = timing_.starts_per_node};
  }
  for (const auto& [vm, guest] : guests_) {
    const auto found = rooms.find(guest.record.home);
    if (found == rooms.end() || !guest.facts.wanted) continue;
    auto& room = found->second;
    room.memory = room.memory - std::min(room.memory, guest.facts.memory);
    room.cpus -= guest.facts.cpus;
    if (!book_.runs(vm, room.node) && room.starts > 0) --room.starts;
  }
  std::vector<Room> list;
  for (auto& [id, room] : rooms) list.push_back(std::move(room));
  return list;
}

// Of the home of a guest that nobody may run any more: it isn't waited for. A node that holds no leases is never
// fenced.
bool Availability::is_gone(const Node& home, bool storming, BootTime now) const {
  const auto stage = home.watch.stage();
  if (stage == Stage::down) return true;
  const bool silent = stage == Stage::suspected || stage == Stage::asking;
  return silent && !storming && !home.facts.maintenance && now >= listening_from_ &&
         now >= home.watch.since() + timing_.check_for;
}

void Availability::place(bool storming, BootTime now, const RestartRules& rules, Actions& actions) {
  std::vector<Restart> restarts;
  waits_.clear();
  for (auto& [vm, guest] : guests_) {
    auto& record = guest.record;
    const bool runs = book_.runs(vm, record.home);
    if (!runs) guest.runs_since.reset();
    if (runs && !guest.runs_since) guest.runs_since = now;
    if (record.deaths > 0 && guest.runs_since && now >= *guest.runs_since + timing_.calm) {
      record.deaths = 0;
      changed_ = true;
    }
    if (!guest.facts.wanted || record.given_up) continue;
    const auto* leases = book_.leases(vm);
    if (leases && !leases->outstanding.empty()) continue;
    const auto* home = find(record.home);
    if (home && may_host(*home)) {
      const auto granted = book_.grant(vm, record.home, terms_on(guest.facts, record.home), now);
      if (granted)
        actions.push_back(Place{vm, record.home, granted->token, "it should run, and nobody else may run it"});
      if (!granted) waits_[vm] = granted.error().message;
      changed_ |= granted.has_value();
    } else if (guest.facts.restart && guest.facts.terms != Terms::own && (!home || is_gone(*home, storming, now))) {
      restarts.push_back({.vm = vm,
                          .priority = guest.facts.priority,
                          .cpus = guest.facts.cpus,
                          .memory = guest.facts.memory,
                          .pools = guest.facts.pools,
                          .not_on = record.home});
    } else {
      waits_[vm] = "its node isn't ready";
    }
  }
  if (!restarts.empty()) restart(std::move(restarts), now, rules, actions);
}

void Availability::restart(std::vector<Restart> guests, BootTime now, const RestartRules& rules, Actions& actions) {
  const auto plan = plan_restarts(std::move(guests), rooms(), rules);
  for (const auto& placement : plan.placements) {
    auto& guest = guests_.at(placement.vm);
    const auto granted = book_.grant(placement.vm, placement.node, terms_on(guest.facts, placement.node), now);
    if (!granted) {
      waits_[placement.vm] = granted.error().message;
      continue;
    }
    actions.push_back(Place{
        placement.vm, placement.node, granted->token,
        fmt::format("its node is gone, and nobody may run it any more{}{}",
                    placement.breaks.empty() ? "" : "; no node that keeps its rules has room: ", placement.breaks)});
    guest.record.home = placement.node;
    guest.runs_since.reset();
    changed_ = true;
  }
  for (const auto& waiting : plan.waiting) waits_[waiting.vm] = waiting.why;
}

}  // namespace bridgehead::availability
