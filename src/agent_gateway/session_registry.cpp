#include "agent_gateway/session_registry.h"

#include "agent_gateway/messages.h"

namespace bridgehead::agent_gateway {

std::shared_ptr<SessionRegistry::Slot> SessionRegistry::slot(const model::NodeId& node) {
  const std::lock_guard lock(mutex_);
  auto& slot = slots_[node];
  if (!slot) slot = std::make_shared<Slot>();
  return slot;
}

bool SessionRegistry::is_current(const Slot& slot, const Session& session) const {
  const std::lock_guard lock(mutex_);
  return slot.current.get() == &session;
}

std::shared_ptr<Session> SessionRegistry::find(const model::NodeId& node) const {
  std::shared_ptr<Session> session;
  {
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(node);
    if (found != slots_.end()) session = found->second->current;
  }
  return session && session->alive() ? session : nullptr;
}

std::vector<model::NodeId> SessionRegistry::connected_nodes() const {
  const std::lock_guard lock(mutex_);
  std::vector<model::NodeId> nodes;
  for (const auto& [node, slot] : slots_) {
    if (slot->current) nodes.push_back(node);
  }
  return nodes;
}

std::map<model::NodeId, std::string> SessionRegistry::take_renewals() {
  const std::lock_guard lock(mutex_);
  return std::exchange(renewals_, {});
}

std::size_t SessionRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return connected_;
}

void SessionRegistry::add(const std::shared_ptr<Session>& session) {
  const std::lock_guard lock(mutex_);
  all_[session->number()] = session;
}

void SessionRegistry::end_all(const grpc::Status& status) {
  std::vector<std::shared_ptr<Session>> sessions;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, weak] : all_) {
      if (auto session = weak.lock()) sessions.push_back(std::move(session));
    }
  }
  for (const auto& session : sessions) session->end(status, false);
}

void SessionRegistry::session_opened(const std::shared_ptr<Session>& session, model::NodeReport report) {
  const auto slot_of_node = slot(session->node());
  std::shared_ptr<Session> replaced;
  {
    const std::lock_guard deliver_lock(slot_of_node->events);
    {
      const std::lock_guard lock(mutex_);
      replaced = std::exchange(slot_of_node->current, session);
      renewals_.erase(session->node());
      if (!replaced) ++connected_;
    }
    if (replaced) replaced->end({grpc::StatusCode::ABORTED, "another stream of this node came"}, true);
    callbacks_.secrets_reported(*session, report.secrets);
    events_->on_report(session->node(), std::move(report));
  }
  log::info(agent_connected, "node {} at {}", session->node(), session->peer());
  if (!replaced) return;
  log::warning(agent_replaced, "node {}: {} takes the place of {}", session->node(), session->peer(), replaced->peer());
  callbacks_.ended(replaced->number(), Error{ErrorCode::unavailable, "the node's agent has connected anew", {}});
}

void SessionRegistry::session_message(Session& session, AgentMessage message) {
  if (auto* failure = std::get_if<TunnelFailure>(&message)) {
    callbacks_.tunnel_failed(session.node(), std::move(*failure));
    return;
  }
  const auto slot_of_node = slot(session.node());
  const std::lock_guard deliver_lock(slot_of_node->events);
  if (!is_current(*slot_of_node, session)) return;
  if (auto* renewal = std::get_if<Renewal>(&message)) {
    const std::lock_guard lock(mutex_);
    renewals_[session.node()] = std::move(renewal->text);
    return;
  }
  if (const auto* report = std::get_if<model::NodeReport>(&message)) {
    callbacks_.secrets_reported(session, report->secrets);
  }
  deliver(session.node(), std::move(message), *events_);
}

void SessionRegistry::session_ended(Session& session) {
  const auto slot_of_node = slot(session.node());
  std::shared_ptr<Session> current;
  {
    const std::lock_guard deliver_lock(slot_of_node->events);
    {
      const std::lock_guard lock(mutex_);
      all_.erase(session.number());
      if (slot_of_node->current.get() != &session) return;
      current = std::move(slot_of_node->current);
      slot_of_node->current = nullptr;
      renewals_.erase(session.node());
      --connected_;
    }
    events_->on_disconnected(session.node());
  }
  log::info(agent_disconnected, "node {} at {}", session.node(), session.peer());
  callbacks_.ended(session.number(), Error{ErrorCode::unavailable, "the node's agent is not connected any more", {}});
}

}  // namespace bridgehead::agent_gateway
