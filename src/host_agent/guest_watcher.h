// GuestWatcher: what this node's guests are doing, as last seen, and who must be told when that changes. Looks at a
// guest when the hypervisor has an event for it, when an assignment has worked on it, and at all of them every half
// minute. Two threads of its own, both blocking in the hypervisor: one looks at states, one asks guests for their
// addresses (a guest agent may take its time), so that neither delays heartbeats. Thread-safe. While the hypervisor is
// away the last known states stay; a guest is gone only when the hypervisor says so.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "host_agent/guest_events.h"
#include "host_agent/journal.h"
#include "hypervisor/hypervisor.h"
#include "model/assignment.h"

namespace bridgehead::host_agent {

struct WatchTimings {
  std::chrono::milliseconds poll{std::chrono::seconds(30)};
  std::chrono::milliseconds poll_while_away{std::chrono::seconds(5)};
  // Addresses: quickly while a guest boots, seldom once they are known or it has none.
  std::chrono::milliseconds boot{std::chrono::minutes(5)};
  std::chrono::milliseconds address_poll_booting{std::chrono::seconds(2)};
  std::chrono::milliseconds address_poll{std::chrono::seconds(60)};
};

class GuestWatcher {
 public:
  struct Sinks {
    std::function<void(const model::ObservedVm&)> changed;
    std::function<void(const model::VmId&)> gone;
    // The hypervisor answered for the first time, or again after it was away.
    std::function<void(const std::vector<hypervisor::GuestInfo>&)> available;
  };

  GuestWatcher(hypervisor::Hypervisor& hypervisor, GuestEvents& events, const Journal& journal, const Clock& clock,
               Sinks sinks, WatchTimings timings = {});
  ~GuestWatcher();
  GuestWatcher(const GuestWatcher&) = delete;
  GuestWatcher& operator=(const GuestWatcher&) = delete;

  void start();
  void stop();

  // Looks at one guest now, in the caller's thread.
  void look(const model::VmId& vm);
  std::vector<model::ObservedVm> all() const;
  // Waits until all guests were looked at once (or could not be); false at the timeout.
  bool wait_for_first_look(std::chrono::milliseconds timeout);

 private:
  struct Watched {
    model::ObservedVm seen;
    std::uint64_t ticket = 0;  // of the newest look that was taken over
    Monotonic running_since{};
    bool agent_answered = false;  // since its channel was opened, or before this watcher was there
    Monotonic ask_addresses{};    // when next; only for running guests
  };

  void watch_states();
  void look_at_all();
  void take_over(const hypervisor::GuestInfo& info, std::uint64_t ticket);
  void take_gone(const model::VmId& vm, std::uint64_t ticket);
  void note_away(const Error& error);
  void watch_addresses();
  void ask_addresses(const model::VmId& vm);
  model::ObservedVm observed(const hypervisor::GuestInfo& info) const;

  hypervisor::Hypervisor& hypervisor_;
  GuestEvents& events_;
  const Journal& journal_;
  const Clock& clock_;
  const Sinks sinks_;
  const WatchTimings timings_;

  mutable std::mutex mutex_;
  std::condition_variable wake_states_;
  std::condition_variable wake_addresses_;
  std::condition_variable first_look_;
  bool stopping_ = false;
  bool looked_ = false;
  bool away_ = true;
  bool away_logged_ = false;
  std::uint64_t next_ticket_ = 1;
  std::set<model::VmId> dirty_;
  std::map<model::VmId, Watched> guests_;
  std::thread states_;
  std::thread addresses_;
};

}  // namespace bridgehead::host_agent
