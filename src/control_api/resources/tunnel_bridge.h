// TunnelBridge: joins one exchange with one tunnel, mostly to an agent; the shared part of consoles, logs, exports and
// uploads. It waits until the tunnel is open, carries flow control from one side to the other and ends both together,
// whichever ends first. Thread-safe; keeps itself alive (through the exchange and the tunnel) until both have ended.
#pragma once

#include <memory>
#include <mutex>

#include "control_api/routes.h"
#include "control_api/services.h"

namespace bridgehead::control_api {

class TunnelBridge : public std::enable_shared_from_this<TunnelBridge> {
 public:
  explicit TunnelBridge(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  virtual ~TunnelBridge() = default;
  TunnelBridge(const TunnelBridge&) = delete;
  TunnelBridge& operator=(const TunnelBridge&) = delete;

  using Open = std::function<Result<std::shared_ptr<reconcile::Tunnel>>(reconcile::TunnelHandlers handlers)>;
  // Answers with a problem if the tunnel can't be opened.
  void start(const Open& open);
  void start(reconcile::TunnelBroker& broker, const model::NodeId& node, const reconcile::TunnelRequest& request);
  // Kept until the bridge ends, for example a claim.
  void hold(std::shared_ptr<void> claim) { claim_ = std::move(claim); }

 protected:
  // Called once each, except on_data.
  virtual void on_open() = 0;
  virtual void on_data(std::string bytes) = 0;
  virtual void on_closed(Status result) = 0;

  http::Exchange& exchange() { return *call_->exchange; }
  const Call& call() const { return *call_; }
  // Null once the bridge has ended.
  std::shared_ptr<reconcile::Tunnel> tunnel();
  void refuse(const Error& error);
  // Wants the next bytes from the agent.
  void resume();

 private:
  void opened();
  void ended();  // the exchange has ended

  const std::shared_ptr<Call> call_;
  std::shared_ptr<void> claim_;
  std::mutex mutex_;
  std::shared_ptr<reconcile::Tunnel> tunnel_;
  bool tunnel_open_ = false;  // the agent has said so, maybe before open() returned
  bool started_ = false;      // on_open was called
  bool over_ = false;
};

}  // namespace bridgehead::control_api
