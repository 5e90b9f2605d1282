#include "control_api/resources/tunnel_bridge.h"

#include "control_api/problem.h"

namespace bridgehead::control_api {

void TunnelBridge::start(reconcile::TunnelBroker& broker, const model::NodeId& node,
                         const reconcile::TunnelRequest& request) {
  start([&](reconcile::TunnelHandlers handlers) { return broker.open(node, request, std::move(handlers)); });
}

void TunnelBridge::start(const Open& open) {
  exchange().on_end([self = shared_from_this()] { self->ended(); });
  reconcile::TunnelHandlers handlers;
  handlers.opened = [self = shared_from_this()] {
    {
      const std::lock_guard lock(self->mutex_);
      self->tunnel_open_ = true;
    }
    self->opened();
  };
  handlers.data = [self = shared_from_this()](std::string bytes) { self->on_data(std::move(bytes)); };
  handlers.closed = [self = shared_from_this()](Status result) {
    std::shared_ptr<reconcile::Tunnel> tunnel;  // let go outside the lock
    {
      const std::lock_guard lock(self->mutex_);
      if (self->over_) return;  // the client has gone: nobody is left to tell
      self->over_ = true;
      tunnel = std::move(self->tunnel_);
    }
    // Before the client hears of the end: it may come again at once.
    self->claim_.reset();
    self->on_closed(std::move(result));
  };
  auto tunnel = open(std::move(handlers));
  if (!tunnel) return refuse(tunnel.error());
  bool too_late = false;
  {
    const std::lock_guard lock(mutex_);
    too_late = over_;
    if (!over_) tunnel_ = *tunnel;
  }
  if (too_late) return (*tunnel)->close("the client has gone away");
  opened();
}

void TunnelBridge::opened() {
  {
    const std::lock_guard lock(mutex_);
    if (!tunnel_ || !tunnel_open_ || started_) return;
    started_ = true;
  }
  on_open();
}

void TunnelBridge::ended() {
  std::shared_ptr<reconcile::Tunnel> tunnel;
  std::shared_ptr<void> claim;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    tunnel = std::move(tunnel_);
    claim = std::move(claim_);
  }
  if (tunnel) tunnel->close("the client has gone away");
}

std::shared_ptr<reconcile::Tunnel> TunnelBridge::tunnel() {
  const std::lock_guard lock(mutex_);
  return tunnel_;
}

void TunnelBridge::resume() {
  if (const auto open = tunnel()) open->resume();
}

void TunnelBridge::refuse(const Error& error) { exchange().respond(problem(error, call_->request().target.path)); }

}  // namespace bridgehead::control_api
