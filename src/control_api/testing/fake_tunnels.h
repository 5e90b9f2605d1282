// FakeTunnels: a TunnelBroker whose agent is a few lines here. Handlers come from a thread of its own, as from the
// gateway. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "base/worker_pool.h"
#include "reconcile/agent_port.h"

namespace bridgehead::control_api::testing {

// What the agent does with a tunnel.
struct AgentScript {
  enum class Kind { echo, source, sink } kind = Kind::echo;
  std::string payload;                // source: what it sends
  std::size_t chunk = 64 * 1024;      // source: in pieces of this size
  std::optional<Error> at_once;       // fails before it opens
  std::optional<Error> after_source;  // source: ends with this instead of well
  bool hold_sent = false;             // sink: takes one piece for each release()
};

class FakeTunnels final : public reconcile::TunnelBroker {
 public:
  ~FakeTunnels() override { workers_.stop(); }

  Result<std::shared_ptr<reconcile::Tunnel>> open(const model::NodeId& node, const reconcile::TunnelRequest& request,
                                                  reconcile::TunnelHandlers handlers) override;

  void set_script(AgentScript script);
  // Every open tunnel ends, well or with the error.
  void end_all(std::optional<Error> error = {});
  void release(std::size_t pieces);  // hold_sent

  std::string received() const;  // by sinks and echoes
  std::size_t opened() const;
  reconcile::TunnelRequest last_request() const;
  std::pair<std::uint32_t, std::uint32_t> size() const;
  // Waits until it is so; false after 20 s.
  bool wait(const std::function<bool()>& condition);
  std::size_t closed_by_client() const;

 private:
  class FakeTunnel;
  friend class FakeTunnel;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  AgentScript script_;
  std::vector<std::shared_ptr<FakeTunnel>> tunnels_;
  std::string received_;
  reconcile::TunnelRequest last_request_;
  std::pair<std::uint32_t, std::uint32_t> size_{};
  std::size_t opened_ = 0;
  std::size_t closed_by_client_ = 0;
  std::size_t released_ = 0;
  WorkerPool workers_{1};
};

}  // namespace bridgehead::control_api::testing
