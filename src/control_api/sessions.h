// Sessions: things that only one client may have at a time (a guest's console, an operation's upload). Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace bridgehead::control_api {

class Sessions {
 public:
  // The claim lasts as long as the handle. Null: somebody has it, and `take_over` is false. Taking over calls the
  // other's `taken`, from this thread. Handles must end before Sessions does.
  std::shared_ptr<void> claim(const std::string& what, bool take_over, std::function<void()> taken) {
    std::function<void()> previous;
    std::uint64_t ticket = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto holder = holders_.find(what);
      if (holder != holders_.end()) {
        if (!take_over) return nullptr;
        previous = std::move(holder->second.taken);
      }
      ticket = ++last_ticket_;
      holders_.insert_or_assign(what, Holder{ticket, std::move(taken)});
    }
    if (previous) previous();
    return {this, [what, ticket](Sessions* self) { self->release(what, ticket); }};
  }

 private:
  struct Holder {
    std::uint64_t ticket;
    std::function<void()> taken;
  };

  void release(const std::string& what, std::uint64_t ticket) {
    std::function<void()> dropped;  // may own the caller: destroyed outside the lock
    const std::lock_guard lock(mutex_);
    const auto holder = holders_.find(what);
    if (holder == holders_.end() || holder->second.ticket != ticket) return;
    dropped = std::move(holder->second.taken);
    holders_.erase(holder);
  }

  std::mutex mutex_;
  std::map<std::string, Holder> holders_;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace bridgehead::control_api
