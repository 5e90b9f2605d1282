#include "reconcile/progress_board.h"

namespace bridgehead::reconcile {

std::shared_ptr<void> ProgressBoard::listen(Listener listener) {
  auto handle = std::make_shared<Listener>(std::move(listener));
  const std::lock_guard lock(mutex_);
  listeners_.emplace(next_listener_++, handle);
  return handle;
}

std::optional<Progress> ProgressBoard::of(const model::OperationId& operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = progress_.find(operation);
  if (found == progress_.end()) return {};
  return found->second;
}

void ProgressBoard::note(model::Operation operation, const Progress& progress) {
  std::vector<std::shared_ptr<Listener>> listeners;
  {
    const std::lock_guard lock(mutex_);
    auto& known = progress_[operation.id];
    if (known == progress) return;
    known = progress;
    for (auto entry = listeners_.begin(); entry != listeners_.end();) {
      if (auto alive = entry->second.lock()) {
        listeners.push_back(std::move(alive));
        ++entry;
      } else {
        entry = listeners_.erase(entry);
      }
    }
  }
  operation.progress = progress;
  for (const auto& listener : listeners) (*listener)(operation);
}

void ProgressBoard::forget(const model::OperationId& operation) {
  const std::lock_guard lock(mutex_);
  progress_.erase(operation);
}

}  // namespace bridgehead::reconcile
