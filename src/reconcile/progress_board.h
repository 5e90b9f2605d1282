// ProgressBoard: how far the running operations are, in memory only; the store keeps an operation's progress to a few
// seconds. Thread-safe. Listeners are called from the reconciler's thread and must be quick; nothing here fails.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "model/operation.h"

namespace bridgehead::reconcile {

class ProgressBoard {
 public:
  // The operation with its newest progress.
  using Listener = std::function<void(const model::Operation&)>;

  // Until the returned handle is dropped.
  std::shared_ptr<void> listen(Listener listener);

  // Newest progress of an open operation; none when nothing came beyond what its record says.
  std::optional<Progress> of(const model::OperationId& operation) const;

  void note(model::Operation operation, const Progress& progress);
  void forget(const model::OperationId& operation);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<model::OperationId, Progress> progress_;
  std::map<std::uint64_t, std::weak_ptr<Listener>> listeners_;
  std::uint64_t next_listener_ = 0;
};

}  // namespace bridgehead::reconcile
