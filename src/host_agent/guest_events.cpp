#include "host_agent/guest_events.h"

namespace bridgehead::host_agent {

GuestEvents::GuestEvents(hypervisor::Hypervisor& hypervisor)
    : hypervisor_(hypervisor), shared_(std::make_shared<Shared>()) {
  hypervisor_.on_event([shared = shared_](const hypervisor::GuestEvent& event) {
    {
      const std::lock_guard lock(shared->mutex);
      ++shared->counts[event.id];
      shared->changed.notify_all();
    }
    const std::lock_guard lock(shared->listener_mutex);
    if (shared->listener) shared->listener(event);
  });
}

GuestEvents::~GuestEvents() {
  hypervisor_.on_event({});
  listen({});
}

void GuestEvents::listen(Listener listener) {
  const std::lock_guard lock(shared_->listener_mutex);
  shared_->listener = std::move(listener);
}

std::uint64_t GuestEvents::count(const model::VmId& vm) const {
  const std::lock_guard lock(shared_->mutex);
  const auto found = shared_->counts.find(vm);
  return found == shared_->counts.end() ? 0 : found->second;
}

bool GuestEvents::wait(const model::VmId& vm, std::uint64_t seen, std::chrono::milliseconds timeout,
                       std::stop_token stop) {
  std::unique_lock lock(shared_->mutex);
  return shared_->changed.wait_for(lock, stop, timeout, [&] {
    const auto found = shared_->counts.find(vm);
    return found != shared_->counts.end() && found->second > seen;
  });
}

}  // namespace bridgehead::host_agent
