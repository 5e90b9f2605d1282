#include "cli/commands/bench_end.h"

#include <poll.h>
#include <unistd.h>

namespace bridgehead::cli {
namespace {

bool input_has_ended() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  char byte = 0;
  return ::poll(&input, 1, 0) > 0 && ::read(STDIN_FILENO, &byte, 1) == 0;
}

}  // namespace

EndBySignal::EndBySignal(bool with_input) {
  sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  waiter_ = std::jthread([this, with_input](const std::stop_token& over) {
    while (!over.stop_requested()) {
      const timespec patience{0, 100'000'000};
      if (::sigtimedwait(&signals_, nullptr, &patience) > 0) wanted_.request_stop();
      if (with_input && !wanted_.stop_requested() && input_has_ended()) wanted_.request_stop();
    }
  });
}

EndBySignal::~EndBySignal() {
  waiter_ = {};
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace bridgehead::cli
