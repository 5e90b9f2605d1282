#include "hypervisor/libvirt/connection.h"

#include <chrono>
#include <vector>

#include "base/log.h"

namespace bridgehead::hypervisor {
namespace {

constexpr log::Message kConnected{"LIBVIRT_CONNECTED", "The connection to libvirtd is open; guests can be run."};
constexpr log::Message kLost{"LIBVIRT_LOST", "libvirtd went away. Guests run on; the agent connects again by itself."};

constexpr auto kRetryEvery = std::chrono::milliseconds(500);

constexpr int kEvents[] = {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                           VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED};

}  // namespace

// What libvirt's callbacks point to. It outlives the Connection for as long as libvirt may still call.
struct Connection::Sink {
  std::mutex mutex;
  ConnectionEvents events;
  Connection* owner = nullptr;  // nullptr once it is gone

  static Sink& of(void* opaque) { return **static_cast<std::shared_ptr<Sink>*>(opaque); }
  static void free(void* opaque) { delete static_cast<std::shared_ptr<Sink>*>(opaque); }

  template <typename Action>
  static void with_owner(void* opaque, Action&& action) {
    auto& sink = of(opaque);
    const std::lock_guard lock(sink.mutex);
    if (sink.owner != nullptr) action(sink);
  }

  static void closed(virConnectPtr connection, int, void* mine) {
    with_owner(mine, [&](Sink& sink) { sink.owner->lost(connection); });
  }

  static virConnectDomainEventGenericCallback callback(int event) {
    switch (event) {
      case VIR_DOMAIN_EVENT_ID_LIFECYCLE:
        return VIR_DOMAIN_EVENT_CALLBACK(+[](virConnectPtr, virDomainPtr domain, int what, int, void* mine) {
          with_owner(mine, [&](Sink& sink) { sink.events.lifecycle(domain, what); });
          return 0;
        });
      case VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE:
        return VIR_DOMAIN_EVENT_CALLBACK(+[](virConnectPtr, virDomainPtr domain, int, int, void* mine) {
          with_owner(mine, [&](Sink& sink) { sink.events.agent(domain); });
        });
      case VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED:
        return VIR_DOMAIN_EVENT_CALLBACK(+[](virConnectPtr, virDomainPtr domain, const char* alias, void* mine) {
          with_owner(mine, [&](Sink& sink) { sink.events.device(domain, alias, true); });
        });
      default:
        return VIR_DOMAIN_EVENT_CALLBACK(+[](virConnectPtr, virDomainPtr domain, const char* alias, void* mine) {
          with_owner(mine, [&](Sink& sink) { sink.events.device(domain, alias, false); });
        });
    }
  }
};

Connection::Connection(std::string uri, ConnectionEvents events)
    : loop_(EventLoop::acquire()), uri_(std::move(uri)), sink_(std::make_shared<Sink>()) {
  sink_->events = std::move(events);
  sink_->owner = this;
  mender_ = std::jthread([this](std::stop_token stop) { mend(stop); });
}

Connection::~Connection() {
  mender_.request_stop();
  mender_.join();
  {
    const std::lock_guard lock(sink_->mutex);
    sink_->owner = nullptr;
  }
  const std::lock_guard lock(mutex_);
  connection_.reset();
  closing_.clear();
}

void Connection::keep_open() {
  const std::lock_guard lock(mutex_);
  keep_open_ = true;
  wake_.notify_all();
}

Result<Connection::Shared> Connection::open() {
  bool reconnected = false;
  Shared result;
  {
    const std::lock_guard lock(mutex_);
    if (connection_ && ::virConnectIsAlive(connection_.get()) == 1) return connection_;
    if (connection_) closing_.push_back(std::move(connection_));
    connection_.reset();
    wake_.notify_all();  // should it fail now: libvirt's close callback finds it lost already, and wakes nobody
    const auto opened = ::virConnectOpen(uri_.c_str());
    if (opened == nullptr) {
      auto failed = fail_libvirt("reach libvirtd, which runs the guests");
      failed.value().code = ErrorCode::unavailable;
      return failed;
    }
    connection_ = subscribe(opened);
    ::virConnectSetKeepAlive(opened, 5, 3);  // a libvirtd that hangs is noticed after 20 s
    reconnected = std::exchange(was_connected_, true);
    keep_open_ = true;
    result = connection_;
  }
  log::info(kConnected, "connected to {}", uri_);
  if (reconnected && sink_->events.reconnected) sink_->events.reconnected();
  return result;
}

// Callbacks hold a reference to their connection, so that it only closes after all are taken off again.
Connection::Shared Connection::subscribe(virConnectPtr connection) {
  const auto opaque = [&] { return static_cast<void*>(new std::shared_ptr<Sink>(sink_)); };  // freed by Sink::free
  std::vector<int> callbacks;
  for (const int event : kEvents) {
    if (!sink_->events.lifecycle) break;
    auto* mine = opaque();
    const int id =
        ::virConnectDomainEventRegisterAny(connection, nullptr, event, Sink::callback(event), mine, &Sink::free);
    id < 0 ? Sink::free(mine) : callbacks.push_back(id);
  }
  auto* mine = opaque();
  if (::virConnectRegisterCloseCallback(connection, &Sink::closed, mine, &Sink::free) < 0) Sink::free(mine);
  return Shared(connection, [callbacks](virConnectPtr closing) {
    for (const int id : callbacks) ::virConnectDomainEventDeregisterAny(closing, id);
    ::virConnectUnregisterCloseCallback(closing, &Sink::closed);
    ::virConnectClose(closing);
  });
}

// Also called by libvirt's close callback, under locks of libvirt's: closing is left to the mender.
void Connection::lost(virConnectPtr connection) {
  {
    const std::lock_guard lock(mutex_);
    if (connection_.get() != connection) return;
    closing_.push_back(std::move(connection_));
    connection_.reset();
    wake_.notify_all();
  }
  log::warning(kLost, "the connection to {} is lost", uri_);
}

void Connection::mend(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    wake_.wait(lock, stop, [this] { return (keep_open_ && !connection_) || !closing_.empty(); });
    if (stop.stop_requested()) return;
    auto closing = std::exchange(closing_, {});
    lock.unlock();
    closing.clear();
    const bool opened = open().has_value();
    lock.lock();
    if (!opened) wake_.wait_for(lock, stop, kRetryEvery, [] { return false; });
  }
}

}  // namespace bridgehead::hypervisor
