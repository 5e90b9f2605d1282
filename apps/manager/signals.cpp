#include "manager/signals.h"

#include <unistd.h>

#include <string_view>

namespace bridgehead::manager {
namespace {

extern "C" void too_slow(int) {
  constexpr std::string_view text = "did not stop in time; ending at once (the state is safe)\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  ::_exit(1);
}

}  // namespace

StopSignals::StopSignals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGTERM);
  sigaddset(&set_, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

int StopSignals::wait(std::chrono::seconds patience) {
  int signal = 0;
  while (::sigwait(&set_, &signal) != 0) {
  }
  ::signal(SIGALRM, too_slow);
  ::alarm(static_cast<unsigned>(patience.count()));
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
  return signal;
}

}  // namespace bridgehead::manager
