// Agents: what the reconciler knows about the agents' streams and about the assignments it sent on them. In memory
// only; all of it comes again from the agents after a restart. Not thread-safe: it belongs to the reconciler's thread.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "model/assignment.h"

namespace bridgehead::reconcile {

class Agents {
 public:
  struct Node {
    bool connected = false;
    std::uint64_t session = 0;  // grows with each report; what was sent on an earlier one may be lost
    Monotonic last_heard{};
    model::SecretsOnNode secrets;  // as it reported last
    bool helps_imports = false;    // likewise
  };

  // One assignment on one node.
  struct Sent {
    std::uint64_t session = 0;         // in which it was sent, or the agent named it; 0 = not at all
    std::uint64_t cancel_session = 0;  // in which its cancelling was sent
    Monotonic last_word{};             // sent or reported
    Monotonic last_progress{};         // its progress changed
    Monotonic not_before{};            // a try again waits until then
    unsigned failures = 0;
    std::optional<model::AssignmentReport> report;  // newest in this process's life
  };

  const Node* node(const model::NodeId& id) const;
  bool connected(const model::NodeId& id) const;
  // Of a connected node; 0 otherwise.
  std::uint64_t session(const model::NodeId& id) const;
  const Sent* sent(const model::OperationId& assignment, const model::NodeId& node) const;

  Node& note_connected(const model::NodeId& id, Monotonic now);
  void note_disconnected(const model::NodeId& id);
  void note_heard(const model::NodeId& id, Monotonic now);
  void note_sent(const model::OperationId& assignment, const model::NodeId& node, Monotonic now);
  void note_cancel_sent(const model::OperationId& assignment, const model::NodeId& node, Monotonic now);
  void note_report(const model::AssignmentReport& report, const model::NodeId& node, Monotonic now);
  // A failed assignment will be sent again, under the same id, not before `when`.
  void retry(const model::OperationId& assignment, const model::NodeId& node, Monotonic when);
  void forget(const model::OperationId& assignment);

  const std::unordered_map<model::NodeId, Node>& nodes() const { return nodes_; }

 private:
  Sent& entry(const model::OperationId& assignment, const model::NodeId& node) { return sent_[assignment][node]; }

  std::unordered_map<model::NodeId, Node> nodes_;
  std::unordered_map<model::OperationId, std::map<model::NodeId, Sent>> sent_;
};

}  // namespace bridgehead::reconcile
