#include "lab/host_watchdog.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/file.h"
#include "lab/host.h"
#include "lab/host_places.h"

namespace bridgehead::lab {
namespace {

using Clock = std::chrono::steady_clock;

struct Watch {
  std::chrono::seconds timeout{0};  // 0 = not armed
  Clock::time_point fed;
  std::string word;  // "T10", so far

  void take(char letter) {
    if (letter == 'V') timeout = {};
    if (letter == 'T') {
      word.clear();
    } else if (letter == '\n') {
      unsigned seconds = 0;
      std::from_chars(word.data(), word.data() + word.size(), seconds);
      timeout = std::chrono::seconds(seconds);
    } else if (letter != '.' && letter != 'V') {
      word += letter;
    }
    fed = Clock::now();
  }
  bool fires() const { return timeout.count() > 0 && Clock::now() > fed + timeout; }
};

}  // namespace

Status start_watchdog(const Places& places, Member& host, const std::function<Status()>& save) {
  if (is_running(host.watchdog)) return {};
  const auto fifo = places.host(host.name).native() + kHostWatchdogDevice;
  if (auto removed = remove_file(fifo); !removed) return removed;
  if (::mkfifo(fifo.c_str(), 0600) != 0) return fail_errno(errno, "make " + fifo);
  const auto self = find_own_program("bridgehead-lab");
  if (!self) return forward(self);
  const Daemon daemon{.command = {.program = self->native(),
                                  .arguments = {"--name", places.lab(), "--directory", places.base().native(),
                                                kHostWatchdog, host.name}},
                      .network_namespace = places.namespace_file(),
                      .log = places.host_log(host.name)};
  const auto started = start_daemon(daemon, [&](const ProcessId& process) {
    host.watchdog = process;
    return save();
  });
  return started ? Status() : forward(started);
}

Status end_watchdog(Member& host) {
  auto ended = end_process(host.watchdog, 0, {});
  if (ended) host.watchdog = {};
  return ended;
}

Status be_watchdog(const Places& places, const std::string& host) {
  // Open for writing, too: it never ends, however often agents come and go.
  const auto fifo = open_file(places.host(host).native() + kHostWatchdogDevice, O_RDWR);
  if (!fifo) return forward(fifo);
  Watch watch;
  while (!watch.fires()) {
    pollfd ready{.fd = fifo->get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 200) <= 0) continue;
    std::array<char, 64> letters{};
    const auto got = ::read(fifo->get(), letters.data(), letters.size());
    for (ssize_t i = 0; i < got; ++i) watch.take(letters[static_cast<std::size_t>(i)]);
  }
  fmt::print(stderr, "host {}: its watchdog wasn't fed for {} s; it is switched off\n", host, watch.timeout.count());
  const auto self = find_own_program("bridgehead-lab");
  if (!self) return forward(self);
  const auto lab = places.lab(), base = places.base().native();
  ::execl(self->c_str(), self->c_str(), "--name", lab.c_str(), "--directory", base.c_str(), "power", host.c_str(),
          "off", static_cast<char*>(nullptr));
  return fail_errno(errno, "switch the host off");
}

}  // namespace bridgehead::lab
