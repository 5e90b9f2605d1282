// GuestEvents: the one receiver of the hypervisor's events; passes them to the observer and lets an assignment wait for
// its guest. Thread-safe. Never fails. A lost event costs time only: waits end at their timeout and look again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>

#include "hypervisor/hypervisor.h"

namespace bridgehead::host_agent {

class GuestEvents {
 public:
  using Listener = std::function<void(const hypervisor::GuestEvent&)>;

  // Takes the hypervisor's one event handler, until the end of this object.
  explicit GuestEvents(hypervisor::Hypervisor& hypervisor);
  ~GuestEvents();
  GuestEvents(const GuestEvents&) = delete;
  GuestEvents& operator=(const GuestEvents&) = delete;

  // Called from the hypervisor's thread; must be quick. One listener: the observer. Empty = nobody.
  void listen(Listener listener);

  // Take the count before looking at the guest, then wait for more than that: nothing is missed in between.
  std::uint64_t count(const model::VmId& vm) const;
  // True when an event came after `seen`; false at the timeout or when stopped.
  bool wait(const model::VmId& vm, std::uint64_t seen, std::chrono::milliseconds timeout, std::stop_token stop);

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::map<model::VmId, std::uint64_t> counts;
    std::mutex listener_mutex;  // held while the listener runs, so that listen({}) waits for it
    Listener listener;
  };
  hypervisor::Hypervisor& hypervisor_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace bridgehead::host_agent
