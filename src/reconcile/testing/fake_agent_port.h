// FakeAgentPort: records what would have been sent. For unit tests of whoever uses an AgentPort. Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <vector>

#include "reconcile/agent_port.h"

namespace bridgehead::reconcile::testing {

class FakeAgentPort final : public AgentPort {
 public:
  struct Sent {
    enum class What { assign, cancel, acknowledge } what = What::assign;
    model::NodeId node;
    model::OperationId operation;
    model::Assignment assignment;  // What::assign
  };

  void connect(const model::NodeId& node) {
    const std::lock_guard lock(mutex_);
    connected_.insert(node);
  }
  void disconnect(const model::NodeId& node) {
    const std::lock_guard lock(mutex_);
    connected_.erase(node);
  }
  // Takes what was sent since the last call.
  std::vector<Sent> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(sent_, {});
  }
  // Waits until something has been sent; false when nothing came in time.
  bool wait(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, at_most, [this] { return !sent_.empty(); });
  }

  bool connected(const model::NodeId& node) const override {
    const std::lock_guard lock(mutex_);
    return connected_.contains(node);
  }
  bool assign(const model::NodeId& node, const model::Assignment& assignment) override {
    return add({Sent::What::assign, node, assignment.operation, assignment});
  }
  bool cancel(const model::NodeId& node, const model::OperationId& operation) override {
    return add({Sent::What::cancel, node, operation, {}});
  }
  bool acknowledge(const model::NodeId& node, const model::OperationId& operation) override {
    return add({Sent::What::acknowledge, node, operation, {}});
  }

 private:
  bool add(Sent sent) {
    {
      const std::lock_guard lock(mutex_);
      if (!connected_.contains(sent.node)) return false;
      sent_.push_back(std::move(sent));
    }
    changed_.notify_all();
    return true;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<model::NodeId> connected_;
  std::vector<Sent> sent_;
};

}  // namespace bridgehead::reconcile::testing
