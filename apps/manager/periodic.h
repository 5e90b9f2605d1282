// A thread that does something now and then until it is destroyed. What it does must return in a while and not throw.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace bridgehead::manager {

class Periodic {
 public:
  Periodic(std::chrono::milliseconds first_after, std::chrono::milliseconds every, std::function<void()> duty)
      : thread_([this, first_after, every, duty = std::move(duty)](const std::stop_token& stop) {
          auto wait = first_after;
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, stop, wait, [&] { return stop.stop_requested(); })) {
            duty();
            wait = every;
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: stops and joins first
};

}  // namespace bridgehead::manager
