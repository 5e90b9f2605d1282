// How this process is asked to stop. One instance, made in main before any thread starts.
#pragma once

#include <chrono>
#include <csignal>

namespace bridgehead::manager {

class StopSignals {
 public:
  // Blocks SIGTERM and SIGINT in this thread and in all that it starts; ignores SIGPIPE.
  StopSignals();

  // Returns the signal that came. From then on a second one ends the process at once, and so does the end of
  // `patience`.
  int wait(std::chrono::seconds patience);

 private:
  sigset_t set_{};
};

}  // namespace bridgehead::manager
