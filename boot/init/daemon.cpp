#include "daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "files.h"
#include "process.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr int ready_fd = 3;

}  // namespace

Result<pid_t> start_daemon(const std::vector<std::string>& arguments, const std::string& idle) {
  const auto what = concat("start ", arguments.front());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(what);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  auto child = start([&] {
    restore_signals();
    const Fd null(::open("/dev/null", O_RDONLY));
    const Fd log(::open("/dev/kmsg", O_WRONLY));
    // First out of the way of the numbers that are given away now.
    const int ready = ::fcntl(writer.get(), F_DUPFD, 10);
    ::dup2(null.get(), 0);
    ::dup2(log.get(), 1);
    ::dup2(log.get(), 2);
    ::dup2(ready, ready_fd);
    ::close_range(ready_fd + 1, ~0U, 0);
    execute("/proc/self/exe", arguments, {});
    return 127;
  });
  if (!child) return child;
  writer.reset();
  pollfd waiting{reader.get(), POLLIN, 0};
  char byte = 0;
  if (::poll(&waiting, 1, 10000) == 1 && ::read(reader.get(), &byte, 1) == 1) return child;
  ::kill(*child, SIGKILL);
  return fail(what, idle, "look at the kernel's messages above");
}

void become_permanent(const char* name) {
  ::prctl(PR_SET_NAME, name);
  ::setsid();
  if (::chdir("/") != 0) return;
  write_value("/proc/self/oom_score_adj", "-1000");
  ::mlockall(MCL_CURRENT | MCL_FUTURE);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGQUIT}) ::signal(number, SIG_IGN);
}

bool tell_ready() {
  const bool told = ::write(ready_fd, "1", 1) == 1;
  ::close(ready_fd);
  return told;
}

void log_line(std::string_view daemon, std::string_view text, Severity severity) {
  const auto line = concat("<", static_cast<int>(severity), ">", daemon, ": ", text, "\n");
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) return;  // nobody else to tell
}

}  // namespace bridgehead::init
