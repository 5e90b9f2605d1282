#include "availability_desk/availability_desk.h"

#include <algorithm>

#include "availability/lease_text.h"
#include "availability_desk/facts.h"
#include "availability_desk/guest_moves.h"
#include "availability_desk/messages.h"
#include "availability_desk/record_text.h"
#include "availability_desk/rules_at_restart.h"

namespace bridgehead::availability_desk {

using availability::Actions;
using availability::Availability;
using availability::AvailabilityRecord;
using availability::BootTime;
using availability::RequestNumber;
using availability::Span;
using availability::Stage;

namespace {

const model::AvailabilityId kRecord{model::kAvailabilityId};
// What stands for an agent's process where its heartbeats are its renewals: nobody waits for answers to them.
constexpr std::uint64_t kHeartbeats = 1;

template <typename T>
std::vector<T> all_of(const Actions& actions) {
  std::vector<T> found;
  for (const auto& action : actions) {
    if (const auto* one = std::get_if<T>(&action)) found.push_back(*one);
  }
  return found;
}

availability::PowerReading reading_of(const Result<reconcile::PowerReading>& reading) {
  if (!reading) return availability::PowerReading::unknown;
  switch (reading->state) {
    case model::MachinePower::off: return availability::PowerReading::off;
    case model::MachinePower::on:
    case model::MachinePower::sleeping: return availability::PowerReading::on;
    case model::MachinePower::unknown: break;
  }
  return availability::PowerReading::unknown;
}

model::Event event_of(std::string kind, std::string object_kind, std::string object, std::string name, std::string text,
                      std::string actor = "manager") {
  return {.kind = std::move(kind),
          .object_kind = std::move(object_kind),
          .object = std::move(object),
          .object_name = std::move(name),
          .message = std::move(text),
          .actor = std::move(actor)};
}

}  // namespace

AvailabilityDesk::AvailabilityDesk(DeskParts parts, DeskOptions options) : parts_(parts), options_(std::move(options)) {
  require(availability::check(options_.timing).has_value(), "times of leases that can't work");
  const std::lock_guard lock(mutex_);
  open();
}

void AvailabilityDesk::start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(stop_mutex_);
    while (!stopping_) {
      lock.unlock();
      look();
      lock.lock();
      wake_.wait_for(lock, options_.every, [this] { return stopping_; });
    }
  });
}

void AvailabilityDesk::stop() {
  {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// As a process that has just started, whatever was in memory.
void AvailabilityDesk::open() {
  AvailabilityRecord record;
  kept_.reset();
  if (const auto stored = parts_.inventory.find<model::AvailabilityState>(kRecord)) {
    auto read = record_of(stored->value.text);
    if (read) {
      record = std::move(*read);
      kept_ = record;
    } else {
      log::error(record_unreadable, "{}", read.error().describe());
    }
  }
  // Room for the requests of each node's watch above it.
  const auto instance = parts_.random.next_u64() >> 8;
  rules_ = std::make_unique<Availability>(options_.timing, std::move(record), instance, options_.time());
  heard_.clear();
  guests_.clear();
  nodes_.clear();
  questions_.clear();
}

void AvailabilityDesk::look() {
  const std::lock_guard lock(mutex_);
  if (const auto kept = look_locked({}); !kept) log::error(not_kept, "{}", kept.error().describe());
}

Status AvailabilityDesk::look_locked(std::vector<model::Event> said_by_persons) {
  const auto now = options_.time();
  std::vector<Told> told;
  {
    const std::lock_guard lock(inbox_->mutex);
    told.swap(inbox_->told);
  }
  for (const auto& one : told) one(*rules_, now);
  Actions actions;
  tell_facts(now);
  tell_renewals(now, actions);
  if (auto numbered = number_tokens(); !numbered) return numbered;
  const auto decided = rules_->tick(now, rules_at_restart(parts_.inventory, rules_->book()));
  actions.insert(actions.end(), decided.begin(), decided.end());
  note_questions(actions);
  auto events = events_of(actions);
  events.insert(events.end(), said_by_persons.begin(), said_by_persons.end());
  if (auto kept = keep(actions, std::move(events)); !kept) {
    open();  // what is in memory was never decided
    return kept;
  }
  carry_out(actions);
  ++looks_;
  return {};
}

void AvailabilityDesk::tell_facts(BootTime now) {
  std::set<model::NodeId> nodes;
  for (const auto& record : parts_.inventory.all<model::Node>()) {
    const auto& node = record->value;
    if (node.certificate_serial.empty()) continue;  // seen, but never in the cluster
    nodes.insert(node.id);
    rules_->know(facts_of(parts_.inventory, node, options_.limits, parts_.clock.now()), now);
  }
  std::set<model::VmId> guests;
  for (const auto& record : parts_.inventory.all<model::Vm>()) {
    const auto& vm = record->value;
    if (vm.node.empty()) continue;
    guests.insert(vm.id);
    if (const auto holder = holder_of(vm)) rules_->adopt(vm.id, *holder, wanted_terms_of(parts_.inventory, vm));
    auto facts = facts_of(parts_.inventory, vm);
    const auto* leases = rules_->book().leases(vm.id);
    const bool free = !leases || leases->outstanding.empty();
    // Nobody may run it, and it isn't sure where it is.
    if (free && undecided(parts_.inventory, vm.id)) facts.wanted = false;
    rules_->know(facts);
    const auto* known = rules_->guest(vm.id);
    if (!known || !known->given_up) continue;
    const auto operations = parts_.inventory.operations_of(vm.id.str());
    const bool asked_for = std::any_of(operations.begin(), operations.end(), [](const auto& operation) {
      return !operation->value.terminal() && operation->value.kind == model::operation_kind::vm_start &&
             operation->value.created_by != "manager";
    });
    if (asked_for) rules_->person_starts(vm.id);
  }
  for (const auto& node : nodes_) {
    if (!nodes.contains(node)) rules_->forget(node);
  }
  for (const auto& vm : guests_) {
    if (!guests.contains(vm)) rules_->forget(vm);
  }
  nodes_ = std::move(nodes);
  guests_ = std::move(guests);
}

// What agents say themselves.
void AvailabilityDesk::tell_renewals(BootTime now, Actions& actions) {
  for (const auto& [node, text] : parts_.agents.take_renewals()) {
    if (!nodes_.contains(node)) continue;
    auto spoken = availability::renewal_from(text);
    if (!spoken) {
      log::warning(renewal_unreadable, "node {}: {}", node, spoken.error().describe());
      continue;
    }
    auto& heard = heard_[node];
    heard.spoken = std::move(*spoken);
    heard.spoken_at = heard.at = now;
    const auto answers = rules_->renewed(node, renewal_of(parts_.inventory, node, rules_->book(), heard.spoken), now);
    actions.insert(actions.end(), answers.begin(), answers.end());
  }
  tell_heartbeats(now, actions);
}

// A node that was heard has renewed what it holds, where its agent doesn't say so itself.
void AvailabilityDesk::tell_heartbeats(BootTime now, Actions& actions) {
  for (const auto& record : parts_.inventory.all<model::Node>()) {
    const auto& node = record->value;
    if (!nodes_.contains(node.id) || node.last_seen == Timestamp{}) continue;
    auto& heard = heard_[node.id];
    if (node.last_seen == heard.seen) continue;
    heard.seen = node.last_seen;
    if (heard.spoken_at && now < *heard.spoken_at + options_.timing.lease) continue;
    heard.at = now;
    heard.spoken_at.reset();
    auto renewal = renewal_of(parts_.inventory, node.id, rules_->book());
    renewal.instance = kHeartbeats;
    renewal.sequence = ++heard.sequence;
    const auto answers = rules_->renewed(node.id, renewal, now);
    actions.insert(actions.end(), answers.begin(), answers.end());
  }
}

// Tokens come from the store's one counter. Whatever is known of leases has lower ones.
Status AvailabilityDesk::number_tokens() {
  const bool waiting = std::any_of(guests_.begin(), guests_.end(), [&](const auto& vm) {
    const auto* leases = rules_->book().leases(vm);
    return !leases || leases->outstanding.empty();
  });
  if (!waiting) return {};
  auto edit = parts_.inventory.edit();
  const auto first = edit.take("lease", guests_.size() + 1);
  // Says whether they could be taken.
  if (auto taken = parts_.inventory.commit(std::move(edit)); !taken) return forward(taken);
  rules_->number_from(first);
  return {};
}

std::vector<model::Event> AvailabilityDesk::events_of(const Actions& actions) const {
  std::vector<model::Event> events;
  const auto add = [&](const std::string& about, const char* kind, const std::string& text) {
    if (const auto vm = parts_.inventory.find<model::Vm>(model::VmId(about))) {
      events.push_back(event_of(kind, "vm", about, vm->value.name, fmt::format("VM '{}': {}", vm->value.name, text)));
    } else if (const auto node = parts_.inventory.find<model::Node>(model::NodeId(about))) {
      events.push_back(
          event_of(kind, "node", about, node->value.name, fmt::format("Node '{}': {}", node->value.name, text)));
    } else {
      events.push_back(event_of(kind, "cluster", "", "", text));
    }
    log::info(said, "{}", events.back().message);
  };
  for (const auto& say : all_of<availability::Say>(actions)) add(say.about, "node.availability", say.text);
  for (const auto& ask : all_of<availability::Ask>(actions)) {
    add(ask.node.str(), "node.question", ask.text);
    log::warning(asked, "{}", events.back().message);
  }
  for (const auto& given : all_of<availability::GiveUp>(actions)) add(given.vm.str(), "vm.given_up", given.why);
  return events;
}

// The record, guests' leases that are over and their new places, and events: all or nothing.
Status AvailabilityDesk::keep(const Actions& actions, std::vector<model::Event> events) {
  (void)rules_->take_changed();
  auto record = rules_->record();
  const auto places = all_of<availability::Place>(actions);
  struct Ended {
    model::VmId vm;
    availability::Holder holder;
    model::LeaseEnd by;
  };
  std::vector<Ended> ended;
  std::vector<model::VmId> proven;
  for (const auto& vm : parts_.inventory.all<model::Vm>()) {
    const auto* leases = rules_->book().leases(vm->value.id);
    const auto& past = vm->value.past_leases;
    if (leases && past && past->by_time && leases->over == past->over && leases->by_time.empty()) {
      proven.push_back(vm->value.id);
    }
    const auto holder = holder_of(vm->value);
    if (!holder || !guests_.contains(vm->value.id)) continue;
    const bool held =
        leases && std::any_of(leases->outstanding.begin(), leases->outstanding.end(), [&](const auto& entry) {
          return entry.node == holder->node && entry.token == holder->token;
        });
    if (held) continue;
    const bool by_time = leases && *holder == availability::Holder{leases->by_time, leases->over};
    ended.push_back({vm->value.id, *holder, by_time ? model::LeaseEnd::time : model::LeaseEnd::proof});
  }
  if (kept_ == record && places.empty() && ended.empty() && proven.empty() && events.empty()) return {};
  const auto committed = state::change(parts_.inventory, [&](state::Edit& edit) -> Status {
    const model::AvailabilityState now{.id = kRecord, .text = text_of(record)};
    const auto stored = parts_.inventory.find<model::AvailabilityState>(kRecord);
    if (!stored) {
      edit.create(now);
    } else {
      edit.update(stored, now);
    }
    const Writing writing{
        .inventory = parts_.inventory, .edit = edit, .random = parts_.random, .now = parts_.clock.now()};
    for (const auto& vm : proven) prove(writing, vm);
    for (const auto& one : ended) revoke(writing, one.vm, one.holder, one.by);
    for (const auto& one : places) place(writing, one);
    for (const auto& event : events) edit.event(event);
    return {};
  });
  if (!committed) return forward(committed);
  kept_ = std::move(record);
  return {};
}

void AvailabilityDesk::note_questions(const Actions& actions) {
  for (const auto& ask : all_of<availability::Ask>(actions)) questions_[ask.question] = {ask.node, ask.text};
  for (const auto& gone : all_of<availability::Withdraw>(actions)) questions_.erase(gone.question);
}

void AvailabilityDesk::tell_later(Told told) {
  const std::lock_guard lock(inbox_->mutex);
  inbox_->told.push_back(std::move(told));
}

void AvailabilityDesk::carry_out(const Actions& actions) {
  for (const auto& action : actions) {
    if (const auto* ask = std::get_if<availability::AskPeers>(&action)) {
      ask_others(ask->node, ask->request, false);
    } else if (const auto* read = std::get_if<availability::ReadHeartbeat>(&action)) {
      ask_others(read->node, read->request, true);
    } else if (const auto* answer = std::get_if<availability::SendAnswer>(&action)) {
      if (answer->answer.instance == kHeartbeats) continue;
      // One that is lost is that of a message that was lost.
      parts_.agents.answer_renewal(answer->node,
                                   availability::text_of(answer_for(answer->answer, heard_[answer->node].spoken)));
    } else if (const auto* claim = std::get_if<availability::WriteClaim>(&action)) {
      write_claim(*claim);
    } else if (const auto* no_claim = std::get_if<availability::RemoveClaim>(&action)) {
      remove_claim(*no_claim);
    } else if (const auto* locks = std::get_if<availability::FreeLocks>(&action)) {
      free_locks(*locks);
    } else if (const auto* off = std::get_if<availability::PowerOff>(&action)) {
      const auto told = [inbox = inbox_, one = *off](const Status& result) {
        if (!result) log::warning(order_failed, "node {}: {}", one.node, result.error().describe());
        const std::lock_guard lock(inbox->mutex);
        inbox->told.push_back([one](Availability& rules, BootTime) { rules.power_ordered(one.node, one.request); });
      };
      if (const auto taken = parts_.power.order_off(off->node, told); !taken) told(taken);
    } else if (const auto* power = std::get_if<availability::ReadPower>(&action)) {
      const auto told = [inbox = inbox_, one = *power](const Result<reconcile::PowerReading>& result) {
        const std::lock_guard lock(inbox->mutex);
        inbox->told.push_back([one, reading = reading_of(result)](Availability& rules, BootTime now) {
          rules.power_read(one.node, one.request, reading, now);
        });
      };
      if (const auto taken = parts_.power.read(power->node, told); !taken) told(forward(taken));
    }
  }
}

std::string AvailabilityDesk::name_of(const model::NodeId& node) const {
  const auto record = parts_.inventory.find<model::Node>(node);
  return record ? record->value.name : node.str();
}

reconcile::AvailabilityStatus AvailabilityDesk::status() const {
  const std::lock_guard lock(mutex_);
  const auto now = options_.time();
  reconcile::AvailabilityStatus status{
      .learning = rules_->book().learning(now), .storm_question = {}, .nodes = {}, .guests = {}};
  for (const auto& [number, question] : questions_) {
    if (question.node.empty()) status.storm_question = question.text;
  }
  for (const auto& id : nodes_) {
    reconcile::NodeAvailability node{.node = id,
                                     .stage = std::string(availability::to_string(rules_->stage(id))),
                                     .text = rules_->state_text(id),
                                     .silent_for = {},
                                     .no_watchdog = {},
                                     .distrusted = rules_->distrusted(id),
                                     .question = {}};
    const auto record = parts_.inventory.find<model::Node>(id);
    const auto heard = heard_.find(id);
    const bool was_heard = heard != heard_.end() && heard->second.at;
    if (was_heard) node.silent_for = std::chrono::duration_cast<std::chrono::seconds>(now - *heard->second.at);
    const bool silent = !was_heard || now > *heard->second.at + options_.timing.suspect_after;
    if (record) {
      const auto facts = facts_of(parts_.inventory, record->value, options_.limits, parts_.clock.now());
      node.power_control = facts.power_control;
      node.no_watchdog = why_no_watchdog(record->value);
      if (facts.maintenance && silent && rules_->stage(id) == Stage::well) node.stage = "left alone";
    }
    for (const auto& [number, question] : questions_) {
      if (question.node == id) node.question = question.text;
    }
    status.nodes.push_back(std::move(node));
  }
  for (const auto& id : guests_) {
    const auto record = parts_.inventory.find<model::Vm>(id);
    if (!record) continue;
    reconcile::GuestAvailability guest{.vm = id,
                                       .restart = record->value.spec.ha == model::HaMode::restart,
                                       .terms = {},
                                       .waits_for = rules_->waits_for(id),
                                       .not_protected = {},
                                       .not_stopped = {}};
    const auto* leases = rules_->book().leases(id);
    if (leases && !leases->outstanding.empty()) guest.terms = availability::to_string(leases->outstanding.back().terms);
    if (const auto* known = rules_->guest(id)) {
      guest.deaths = known->deaths;
      guest.given_up = known->given_up;
    }
    const auto open = undecided(parts_.inventory, id);
    if (guest.terms.empty() && open)
      guest.waits_for = fmt::format("{} ({}) has to end first", open->value.kind, open->value.id);
    if (guest.restart) guest.not_protected = why_not_protected(parts_.inventory, record->value);
    if (guest.restart && record->value.spec.when_alone == model::WhenAlone::stop && guest.terms != "stop") {
      const auto node = parts_.inventory.find<model::Node>(record->value.node);
      guest.not_stopped = node ? why_no_watchdog(node->value) : "it has no node";
      if (!guest.not_protected.empty()) guest.not_stopped = guest.not_protected;
      if (guest.not_stopped.empty()) guest.not_stopped = "its node's agent hasn't confirmed yet that it stops it";
    }
    if (guest.restart || !guest.waits_for.empty() || guest.given_up) status.guests.push_back(std::move(guest));
  }
  return status;
}

Status AvailabilityDesk::confirm_off(const model::NodeId& node, const std::string& person) {
  const std::lock_guard lock(mutex_);
  const auto asked_about = std::find_if(questions_.begin(), questions_.end(),
                                        [&](const auto& question) { return question.second.node == node; });
  if (asked_about == questions_.end()) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("nobody asks whether node '{}' is off: {}", name_of(node),
                                      availability::to_string(rules_->stage(node))),
                          "Only an answer to a question counts; see: bh ha status");
  }
  rules_->person_says_off(node, asked_about->first);
  return look_locked({event_of("node.confirmed_off", "node", node.str(), name_of(node),
                               fmt::format("{} confirms that node '{}' is off", person, name_of(node)), person)});
}

Status AvailabilityDesk::go_on(const std::string& person) {
  const std::lock_guard lock(mutex_);
  const auto storm = std::find_if(questions_.begin(), questions_.end(),
                                  [](const auto& question) { return question.second.node.empty(); });
  if (storm == questions_.end()) {
    return fail_with_hint(ErrorCode::failed_precondition, "nothing is held back", "See: bh ha status");
  }
  rules_->person_says_go_on(storm->first);
  questions_.erase(storm);
  return look_locked(
      {event_of("node.availability", "cluster", "", "",
                fmt::format("{} says that dead nodes are to be dealt with although many are silent", person), person)});
}

Status AvailabilityDesk::trust(const model::NodeId& node, const std::string& person) {
  const std::lock_guard lock(mutex_);
  if (!rules_->distrusted(node)) {
    return fail(ErrorCode::failed_precondition, "the power control of node '{}' is trusted already", name_of(node));
  }
  rules_->person_trusts_power_control(node);
  return look_locked(
      {event_of("node.availability", "node", node.str(), name_of(node),
                fmt::format("{} trusts the power control of node '{}' again", person, name_of(node)), person)});
}

}  // namespace bridgehead::availability_desk
