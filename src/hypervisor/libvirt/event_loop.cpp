#include "hypervisor/libvirt/event_loop.h"

#include <mutex>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/result.h"

namespace bridgehead::hypervisor {
namespace {

std::mutex& process_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

std::shared_ptr<EventLoop> EventLoop::acquire() {
  static std::weak_ptr<EventLoop> shared;
  const std::lock_guard lock(process_mutex());
  auto loop = shared.lock();
  if (!loop) {
    loop = std::shared_ptr<EventLoop>(new EventLoop);
    shared = loop;
  }
  return loop;
}

EventLoop::EventLoop() {
  static const bool registered = [] {
    // Errors are read where they happen; libvirt would also print each on stderr.
    ::virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    return ::virInitialize() == 0 && ::virEventRegisterDefaultImpl() == 0;
  }();
  require(registered, "libvirt's event loop can't be set up");
  thread_ = std::jthread([](std::stop_token stop) {
    while (!stop.stop_requested()) ::virEventRunDefaultImpl();
  });
}

EventLoop::~EventLoop() {
  thread_.request_stop();
  // Wakes the loop, which waits for events without end.
  const int timer = ::virEventAddTimeout(
      0, [](int, void*) {}, nullptr, nullptr);
  thread_.join();
  if (timer >= 0) ::virEventRemoveTimeout(timer);
}

}  // namespace bridgehead::hypervisor
