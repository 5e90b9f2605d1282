// EndBySignal: a benchmark that somebody ends cleans up first. Not thread-safe; nothing fails.
#pragma once

#include <csignal>
#include <stop_token>
#include <thread>

namespace bridgehead::cli {

// While it lives, a first SIGINT or SIGTERM asks for the end, so that folders are removed and figures kept; of a
// client, the end of its standard input, too.
class EndBySignal {
 public:
  explicit EndBySignal(bool with_input = false);
  ~EndBySignal();
  EndBySignal(const EndBySignal&) = delete;
  EndBySignal& operator=(const EndBySignal&) = delete;

  std::stop_token token() const { return wanted_.get_token(); }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  std::stop_source wanted_;
  std::jthread waiter_;
};

}  // namespace bridgehead::cli
