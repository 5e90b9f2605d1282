#include "host_agent/guest_watcher.h"

#include "host_agent/messages.h"

namespace bridgehead::host_agent {
namespace {

using hypervisor::GuestState;
using model::VmPhase;

VmPhase phase_of(GuestState state) {
  switch (state) {
    case GuestState::running: return VmPhase::running;
    case GuestState::paused: return VmPhase::paused;
    case GuestState::stopped: return VmPhase::stopped;
    case GuestState::crashed: return VmPhase::failed;
    case GuestState::absent: break;
  }
  return VmPhase::unknown;
}

}  // namespace

GuestWatcher::GuestWatcher(hypervisor::Hypervisor& hypervisor, GuestEvents& events, const Journal& journal,
                           const Clock& clock, Sinks sinks, WatchTimings timings)
    : hypervisor_(hypervisor),
      events_(events),
      journal_(journal),
      clock_(clock),
      sinks_(std::move(sinks)),
      timings_(timings) {
  // Until the hypervisor answers, the journal knows at least which guests there are.
  for (const auto& [vm, applied] : journal_.all_applied()) {
    auto& seen = guests_[vm].seen;
    seen = {.vm = vm, .generation = applied.generation, .lease = applied.lease};
    seen.status.phase = VmPhase::unknown;
    seen.status.message = "the node's hypervisor has not answered yet";
    seen.status.observed_generation = applied.generation;
    seen.status.waits_for_manager = applied.waits_for_manager;
    seen.status.since = clock_.now();
  }
}

GuestWatcher::~GuestWatcher() { stop(); }

void GuestWatcher::start() {
  events_.listen([this](const hypervisor::GuestEvent& event) {
    const std::lock_guard lock(mutex_);
    dirty_.insert(event.id);
    wake_states_.notify_all();
    if (event.kind == hypervisor::GuestEventKind::agent_changed) {
      if (const auto found = guests_.find(event.id); found != guests_.end()) found->second.ask_addresses = Monotonic{};
      wake_addresses_.notify_all();
    }
  });
  states_ = std::thread([this] { watch_states(); });
  addresses_ = std::thread([this] { watch_addresses(); });
}

void GuestWatcher::stop() {
  events_.listen({});
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_states_.notify_all();
  wake_addresses_.notify_all();
  if (states_.joinable()) states_.join();
  if (addresses_.joinable()) addresses_.join();
}

bool GuestWatcher::wait_for_first_look(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return first_look_.wait_for(lock, timeout, [this] { return looked_; });
}

std::vector<model::ObservedVm> GuestWatcher::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<model::ObservedVm> seen;
  for (const auto& [vm, guest] : guests_) seen.push_back(guest.seen);
  return seen;
}

void GuestWatcher::watch_states() {
  look_at_all();
  std::unique_lock lock(mutex_);
  auto next_poll = std::chrono::steady_clock::now() + (away_ ? timings_.poll_while_away : timings_.poll);
  while (!stopping_) {
    wake_states_.wait_until(lock, next_poll, [this] { return stopping_ || !dirty_.empty(); });
    if (stopping_) return;
    const auto dirty = std::exchange(dirty_, {});
    lock.unlock();
    for (const auto& vm : dirty) look(vm);
    if (std::chrono::steady_clock::now() >= next_poll) {
      look_at_all();
      lock.lock();
      next_poll = std::chrono::steady_clock::now() + (away_ ? timings_.poll_while_away : timings_.poll);
    } else {
      lock.lock();
    }
  }
}

void GuestWatcher::look(const model::VmId& vm) {
  std::uint64_t ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    ticket = next_ticket_++;
  }
  const auto info = hypervisor_.get(vm);
  if (!info) {
    if (info.error().code == ErrorCode::unavailable) note_away(info.error());
    return;  // the next poll sees it
  }
  // One that is just coming in isn't this node's yet.
  const bool arriving = info->migrating && !journal_.applied(vm);
  if (info->state == GuestState::absent || arriving) {
    take_gone(vm, ticket);
  } else {
    take_over(*info, ticket);
  }
}

void GuestWatcher::look_at_all() {
  std::uint64_t ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    ticket = next_ticket_++;
  }
  const auto infos = hypervisor_.list();
  std::vector<model::VmId> missing;
  bool back = false;
  if (infos) {
    const std::lock_guard lock(mutex_);
    for (const auto& [vm, guest] : guests_) {
      if (std::none_of(infos->begin(), infos->end(), [&](const auto& info) { return info.id == vm; }))
        missing.push_back(vm);
    }
    back = std::exchange(away_, false);
    away_logged_ = false;
  } else {
    note_away(infos.error());
  }
  if (infos) {
    for (const auto& info : *infos) take_over(info, ticket);
    for (const auto& vm : missing) take_gone(vm, ticket);
    if (back) {
      log::info(messages::hypervisor_ready, "{} guests of Bridgehead are on this node", infos->size());
      sinks_.available(*infos);
    }
  }
  const std::lock_guard lock(mutex_);
  looked_ = true;
  first_look_.notify_all();
}

void GuestWatcher::note_away(const Error& error) {
  const std::lock_guard lock(mutex_);
  away_ = true;
  if (std::exchange(away_logged_, true)) return;
  log::warning(messages::hypervisor_away, "{}", error.describe());
}

model::ObservedVm GuestWatcher::observed(const hypervisor::GuestInfo& info) const {
  model::ObservedVm seen{.vm = info.id, .lease = info.lease};
  const auto applied = journal_.applied(info.id);
  const bool creating = !applied && journal_.creation(info.id);
  seen.generation = applied ? applied->generation : creating ? 0 : info.generation;
  seen.status.phase = creating ? VmPhase::creating : phase_of(info.state);
  if (info.state == GuestState::crashed) seen.status.message = "the guest crashed; start it again";
  if (info.state == GuestState::stopped && applied && applied->power != model::PowerState::stopped &&
      !journal_.meta(stopped_alone(info.id)).empty()) {
    // Not by its owner's wish: it is wanted to run, and goes on.
    seen.status.phase = VmPhase::failed;
    seen.status.message = "its node was alone and stopped it; it is started again when the manager has answered";
  }
  seen.status.observed_generation = seen.generation;
  seen.status.restart_required = info.restart_required;
  seen.status.snapshots = info.snapshots;
  seen.status.waits_for_manager = applied && applied->waits_for_manager;
  return seen;
}

void GuestWatcher::take_over(const hypervisor::GuestInfo& info, std::uint64_t ticket) {
  auto seen = observed(info);
  const bool running = info.state == GuestState::running;
  {
    const std::lock_guard lock(mutex_);
    auto& guest = guests_[info.id];
    if (ticket < guest.ticket) return;  // a later look has been taken over already
    const bool is_new = guest.ticket == 0;
    guest.ticket = ticket;
    if (running) {
      const bool began = guest.running_since == Monotonic{};
      if (began) {
        guest.running_since = clock_.monotonic();
        // One that has just begun has none yet, and asking would only take time from its start; one that ran before
        // this agent did may have. (A guest agent that connects is asked at once.)
        const bool boots = !is_new || seen.status.phase == VmPhase::creating;
        guest.ask_addresses = boots ? guest.running_since + 2 * timings_.address_poll_booting : Monotonic{};
        guest.agent_answered = !boots && !looked_;  // who came after the first look didn't run before it
        wake_addresses_.notify_all();
      }
      seen.status.agent_silent_since = guest.seen.status.agent_silent_since;
      seen.status.ip_addresses = guest.seen.status.ip_addresses;
      seen.status.guest_agent = guest.seen.status.guest_agent;
    } else if (info.state != GuestState::paused) {
      guest.running_since = Monotonic{};
    }
    const bool same_phase = guest.seen.status.phase == seen.status.phase;
    seen.status.since = same_phase && !is_new ? guest.seen.status.since : clock_.now();
    if (!is_new && guest.seen == seen) return;
    guest.seen = seen;
  }
  sinks_.changed(seen);
}

void GuestWatcher::take_gone(const model::VmId& vm, std::uint64_t ticket) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = guests_.find(vm);
    if (found == guests_.end() || ticket < found->second.ticket) return;
    guests_.erase(found);
  }
  sinks_.gone(vm);
}

void GuestWatcher::watch_addresses() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    // The running guest whose turn is next.
    const std::pair<const model::VmId, Watched>* next = nullptr;
    for (const auto& guest : guests_) {
      if (guest.second.running_since == Monotonic{}) continue;
      if (next == nullptr || guest.second.ask_addresses < next->second.ask_addresses) next = &guest;
    }
    const auto now = clock_.monotonic();
    if (next == nullptr) {
      wake_addresses_.wait(lock);
    } else if (next->second.ask_addresses > now) {
      wake_addresses_.wait_for(lock, next->second.ask_addresses - now);
    } else {
      const auto vm = next->first;
      lock.unlock();
      ask_addresses(vm);
      lock.lock();
    }
  }
}

void GuestWatcher::ask_addresses(const model::VmId& vm) {
  auto agent = hypervisor::GuestAgent::away;
  auto addresses = hypervisor_.addresses(vm, agent);
  model::ObservedVm seen;
  {
    const std::lock_guard lock(mutex_);
    const auto found = guests_.find(vm);
    if (found == guests_.end()) return;
    auto& guest = found->second;
    const auto now = clock_.monotonic();
    const bool answers = agent == hypervisor::GuestAgent::answers;
    const bool known = addresses && !addresses->empty() && answers;
    const auto age = now - guest.running_since;
    // Ever less often: while many guests boot, asking them all takes time from their starts.
    const auto booting_poll = std::max<Monotonic::duration>(timings_.address_poll_booting, age / 4);
    guest.ask_addresses = now + (age < timings_.boot && !known ? booting_poll : timings_.address_poll);
    if (!addresses || guest.running_since == Monotonic{}) return;
    seen = guest.seen;
    seen.status.ip_addresses = std::move(*addresses);
    seen.status.guest_agent = answers;
    if (agent != hypervisor::GuestAgent::silent) {
      guest.agent_answered = answers;
      seen.status.agent_silent_since = {};
    } else if (guest.agent_answered && seen.status.agent_silent_since == Timestamp{}) {
      seen.status.agent_silent_since = clock_.now();
    }
    if (guest.seen == seen) return;
    guest.seen = seen;
  }
  sinks_.changed(seen);
}

}  // namespace bridgehead::host_agent
