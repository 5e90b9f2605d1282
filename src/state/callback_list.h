// CallbackList: who wants to be told, with handles that end a subscription. Thread-safe.
// A handle's destructor waits for a call that is running, so that nothing is called afterwards; it may outlive the
// list, and must not be destroyed inside its own callback.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "state/state_store.h"

namespace bridgehead::state {

template <typename... Args>
class CallbackList {
 public:
  using Callback = std::function<void(Args...)>;

  std::unique_ptr<StateStore::Watch> add(Callback callback) {
    const std::lock_guard lock(shared_->mutex);
    const auto number = ++shared_->last;
    shared_->callbacks.emplace(number, std::move(callback));
    return std::make_unique<Handle>(shared_, number);
  }

  void call(Args... args) const {
    const std::lock_guard lock(shared_->mutex);
    for (const auto& [number, callback] : shared_->callbacks) callback(args...);
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::uint64_t last = 0;
    std::map<std::uint64_t, Callback> callbacks;
  };

  class Handle final : public StateStore::Watch {
   public:
    Handle(std::shared_ptr<Shared> shared, std::uint64_t number) : shared_(std::move(shared)), number_(number) {}
    ~Handle() override {
      const std::lock_guard lock(shared_->mutex);
      shared_->callbacks.erase(number_);
    }

   private:
    std::shared_ptr<Shared> shared_;
    std::uint64_t number_;
  };

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace bridgehead::state
