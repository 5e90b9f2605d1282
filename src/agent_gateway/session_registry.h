// Which node has which stream, and the order of what it says: a node's events reach AgentEvents one at a time and only
// from its present stream. Thread-safe; holds no lock while it sends.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "agent_gateway/session.h"

namespace bridgehead::agent_gateway {

class SessionRegistry final : public SessionHost {
 public:
  struct Callbacks {
    std::function<void(const model::NodeId&, TunnelFailure)> tunnel_failed;
    std::function<void(std::uint64_t session_number, Error)> ended;  // its tunnels can't live on
    // Of the node's present stream; returns quickly.
    std::function<void(const Session&, const model::SecretsOnNode&)> secrets_reported;
  };
  explicit SessionRegistry(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  // Before the first session.
  void set_events(reconcile::AgentEvents* events) { events_ = events; }

  // The node's present stream; null when there is none.
  std::shared_ptr<Session> find(const model::NodeId& node) const;
  std::vector<model::NodeId> connected_nodes() const;
  std::size_t size() const;
  // The newest of each node since the last call, of streams that are there.
  std::map<model::NodeId, std::string> take_renewals();
  // Every stream, also those that have not reported yet.
  void end_all(const grpc::Status& status);
  void add(const std::shared_ptr<Session>& session);

  void session_opened(const std::shared_ptr<Session>& session, model::NodeReport report) override;
  void session_message(Session& session, AgentMessage message) override;
  void session_ended(Session& session) override;

 private:
  struct Slot {
    std::mutex events;                 // held while an event of this node is delivered
    std::shared_ptr<Session> current;  // guarded by SessionRegistry::mutex_
  };
  std::shared_ptr<Slot> slot(const model::NodeId& node);
  bool is_current(const Slot& slot, const Session& session) const;

  reconcile::AgentEvents* events_ = nullptr;
  const Callbacks callbacks_;
  mutable std::mutex mutex_;
  std::unordered_map<model::NodeId, std::shared_ptr<Slot>> slots_;  // never removed: as many as there are nodes
  std::unordered_map<std::uint64_t, std::weak_ptr<Session>> all_;   // by number
  std::map<model::NodeId, std::string> renewals_;
  std::size_t connected_ = 0;
};

}  // namespace bridgehead::agent_gateway
