// Connection: one persistent connection to libvirtd that mends itself, and its events. Thread-safe.
// A call that fails because libvirtd went away is made once more on a new connection; while it can't be reached calls
// fail with `unavailable`. A thread of its own reconnects as soon as libvirtd is back, and says so.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hypervisor/libvirt/event_loop.h"
#include "hypervisor/libvirt/handles.h"

namespace bridgehead::hypervisor {

// Called from the event loop's thread, except connected (from whoever reconnected). Must be quick. All or none of them;
// without them libvirtd isn't asked for events.
struct ConnectionEvents {
  std::function<void(virDomainPtr, int lifecycle_event)> lifecycle;
  std::function<void(virDomainPtr)> agent;
  std::function<void(virDomainPtr, std::string alias, bool removed)> device;
  std::function<void()> reconnected;
};

class Connection {
 public:
  Connection(std::string uri, ConnectionEvents events);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // From now on it is kept open even if nobody calls.
  void keep_open();

  // `action`: virConnectPtr -> Result<...>; it may be run twice and must allow for that.
  template <typename Action>
  auto call(Action&& action) -> std::invoke_result_t<Action, virConnectPtr> {
    for (bool again = false;; again = true) {
      const auto connection = open();
      if (!connection) return forward(connection);
      auto result = action(connection->get());
      if (result || again || ::virConnectIsAlive(connection->get()) == 1) return result;
      lost(connection->get());
    }
  }

 private:
  using Shared = std::shared_ptr<virConnect>;
  struct Sink;

  Result<Shared> open();
  void lost(virConnectPtr connection);
  Shared subscribe(virConnectPtr connection);
  void mend(std::stop_token stop);

  std::shared_ptr<EventLoop> loop_;
  const std::string uri_;
  const std::shared_ptr<Sink> sink_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  Shared connection_;
  std::vector<Shared> closing_;  // for the mender to close
  bool keep_open_ = false;
  bool was_connected_ = false;
  std::jthread mender_;
};

}  // namespace bridgehead::hypervisor
