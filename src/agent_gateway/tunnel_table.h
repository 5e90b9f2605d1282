// All tunnels that wait for their agent or are open. Thread-safe; calls no tunnel while it holds its lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "agent_gateway/tunnel_end.h"
#include "base/random.h"

namespace bridgehead::agent_gateway {

class TunnelTable {
 public:
  TunnelTable(RandomSource& random, TunnelEnd::Limits limits, std::size_t per_node_limit);
  ~TunnelTable();

  // resource_exhausted when the node has too many, unavailable after stop().
  Result<std::shared_ptr<TunnelEnd>> create(const model::NodeId& node, std::uint64_t session_number,
                                            reconcile::TunnelHandlers handlers);
  // Null when there is none of that id, or it is another node's.
  std::shared_ptr<TunnelEnd> find(const model::TunnelId& id, const model::NodeId& node) const;
  void end_of_session(std::uint64_t session_number, const Error& error);
  // Ends all and waits until their users know.
  void stop(std::chrono::milliseconds within);
  std::size_t size() const;

 private:
  void erase(const model::TunnelId& id);

  RandomSource& random_;
  const TunnelEnd::Limits limits_;
  const std::size_t per_node_limit_;
  mutable std::mutex mutex_;
  std::condition_variable emptied_;
  bool stopped_ = false;
  std::unordered_map<model::TunnelId, std::shared_ptr<TunnelEnd>> tunnels_;
  WorkerPool workers_{2};
};

// What a user holds; dropping it closes the tunnel.
std::shared_ptr<reconcile::Tunnel> make_tunnel_handle(std::shared_ptr<TunnelEnd> end);

}  // namespace bridgehead::agent_gateway
