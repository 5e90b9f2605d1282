#include "reconcile/agents.h"

namespace bridgehead::reconcile {

const Agents::Node* Agents::node(const model::NodeId& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Agents::connected(const model::NodeId& id) const {
  const auto* known = node(id);
  return known != nullptr && known->connected;
}

std::uint64_t Agents::session(const model::NodeId& id) const {
  const auto* known = node(id);
  return known != nullptr && known->connected ? known->session : 0;
}

const Agents::Sent* Agents::sent(const model::OperationId& assignment, const model::NodeId& node) const {
  const auto found = sent_.find(assignment);
  if (found == sent_.end()) return nullptr;
  const auto on_node = found->second.find(node);
  return on_node == found->second.end() ? nullptr : &on_node->second;
}

Agents::Node& Agents::note_connected(const model::NodeId& id, Monotonic now) {
  auto& node = nodes_[id];
  node.connected = true;
  ++node.session;
  node.last_heard = now;
  return node;
}

void Agents::note_disconnected(const model::NodeId& id) { nodes_[id].connected = false; }

void Agents::note_heard(const model::NodeId& id, Monotonic now) {
  auto& node = nodes_[id];
  if (now > node.last_heard) node.last_heard = now;
}

void Agents::note_sent(const model::OperationId& assignment, const model::NodeId& node, Monotonic now) {
  auto& sent = entry(assignment, node);
  if (sent.session == 0) sent.last_progress = now;
  sent.session = session(node);
  sent.last_word = now;
}

void Agents::note_cancel_sent(const model::OperationId& assignment, const model::NodeId& node, Monotonic now) {
  auto& sent = entry(assignment, node);
  sent.cancel_session = session(node);
  sent.last_word = now;
}

void Agents::note_report(const model::AssignmentReport& report, const model::NodeId& node, Monotonic now) {
  auto& sent = entry(report.operation, node);
  if (sent.session == 0 && sent.not_before != Monotonic{}) return;  // about the try before
  // A late "running" must not hide how it ended.
  if (sent.report && sent.report->state != model::AssignmentState::running &&
      report.state == model::AssignmentState::running) {
    return;
  }
  if (!sent.report || sent.report->progress != report.progress) sent.last_progress = now;
  sent.last_word = now;
  sent.session = session(node);  // the agent knows of it, so it needn't be sent again on this stream
  sent.report = report;
}

void Agents::retry(const model::OperationId& assignment, const model::NodeId& node, Monotonic when) {
  auto& sent = entry(assignment, node);
  ++sent.failures;
  sent.session = 0;
  sent.report.reset();
  sent.not_before = when;
}

void Agents::forget(const model::OperationId& assignment) { sent_.erase(assignment); }

}  // namespace bridgehead::reconcile
