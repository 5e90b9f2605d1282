// Calls that may never come back (a hung file system), given up on at a deadline.
//
// Each call runs on a thread of its own, which costs some tens of microseconds and nothing while idle; a call that is
// given up on keeps its thread until the kernel lets it go. CallLimit bounds how many such threads one thing may have,
// so that a hung pool costs a known amount and is refused at once from then on. Thread-safe. Errors: timeout when the
// deadline passes, unavailable when too many calls hang, else what the call returns. Whatever the call uses must be
// owned by it (captured by value or shared pointer): it may outlive its caller.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>

#include "base/result.h"

namespace bridgehead::host_agent {

class CallLimit {
 public:
  explicit CallLimit(int most = 64) : most_(most) {}
  bool enter() {
    if (open_.fetch_add(1) < most_) return true;
    open_.fetch_sub(1);
    return false;
  }
  void leave() { open_.fetch_sub(1); }
  int open() const { return open_.load(); }

 private:
  const int most_;
  std::atomic<int> open_{0};
};

template <typename T>
class PendingCall {
 public:
  // Starts at once. `what` is for the errors: "pool local".
  PendingCall(std::shared_ptr<CallLimit> limit, std::string what, std::function<Result<T>()> work)
      : what_(std::move(what)), shared_(std::make_shared<Shared>()) {
    if (!limit->enter()) {
      shared_->result = fail_with_hint(ErrorCode::unavailable, fmt::format("{} does not answer", what_),
                                       "Earlier calls still hang; check its storage and network.");
      return;
    }
    try {
      std::thread([shared = shared_, limit = std::move(limit), work = std::move(work)]() mutable {
        auto result = work();
        work = nullptr;  // what it holds is let go before the caller is told
        limit->leave();
        const std::lock_guard lock(shared->mutex);
        shared->result = std::move(result);
        shared->done.notify_all();
      }).detach();
    } catch (const std::system_error& error) {
      limit->leave();
      shared_->result = fail(ErrorCode::resource_exhausted, "no thread for {}: {}", what_, error.what());
    }
  }

  // The result, or timeout. Once.
  Result<T> wait(std::chrono::milliseconds deadline) {
    std::unique_lock lock(shared_->mutex);
    if (!shared_->done.wait_for(lock, deadline, [this] { return shared_->result.has_value(); })) {
      return fail_with_hint(ErrorCode::timeout, fmt::format("{} does not answer", what_),
                            "Check its storage and network; the call is tried again when you repeat the request.");
    }
    return std::move(*shared_->result);
  }

  // As long as it takes; but once `stop` is requested, for `patience` only.
  Result<T> wait_unless_stopped(std::stop_token stop, std::chrono::milliseconds patience) {
    {
      std::unique_lock lock(shared_->mutex);
      const auto done = [this] { return shared_->result.has_value(); };
      if (shared_->done.wait(lock, stop, done)) return std::move(*shared_->result);
    }
    auto result = wait(patience);
    if (!result && result.error().code == ErrorCode::timeout) {
      return fail(ErrorCode::cancelled, "cancelled; {} did not answer in time and may still be busy", what_);
    }
    return result;
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable_any done;
    std::optional<Result<T>> result;
  };
  std::string what_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace bridgehead::host_agent
