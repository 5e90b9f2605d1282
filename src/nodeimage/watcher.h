// Calls a function twice a second from a thread of its own, while it lives and once at the end: how programs that tell
// nothing of their progress are watched. Internal to this module.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace bridgehead::nodeimage {

class Watcher {
 public:
  explicit Watcher(std::function<void()> look)
      : look_(std::move(look)), thread_([this](const std::stop_token& stop) { work(stop); }) {}

 private:
  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    do {
      look_();
    } while (!ended_.wait_for(lock, stop, std::chrono::milliseconds(500), [&] { return stop.stop_requested(); }));
  }

  std::function<void()> look_;
  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::jthread thread_;
};

}  // namespace bridgehead::nodeimage
