// libvirt's event loop and the thread that runs it. libvirt knows one per process, so it is shared: the first user
// starts it, the last one stops and joins it. Thread-safe. Aborts if libvirt can't set one up (no memory).
#pragma once

#include <memory>
#include <thread>

namespace bridgehead::hypervisor {

class EventLoop {
 public:
  static std::shared_ptr<EventLoop> acquire();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

 private:
  EventLoop();
  std::jthread thread_;
};

}  // namespace bridgehead::hypervisor
