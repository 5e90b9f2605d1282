#include "nbd_daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "files.h"
#include "journal.h"
#include "nbd_kernel.h"
#include "process.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::chrono::seconds connect_limit{4};
constexpr std::chrono::milliseconds first_pause{100};
constexpr std::chrono::milliseconds longest_pause{3000};
constexpr int ready_fd = 3;

// What must not happen to a process that the root depends on: be paged out, killed for memory, or ended by a signal.
void become_permanent() {
  ::prctl(PR_SET_NAME, "bridgehead-nbd");
  ::setsid();
  if (::chdir("/") != 0) return;
  write_value("/proc/self/oom_score_adj", "-1000");
  ::mlockall(MCL_CURRENT | MCL_FUTURE);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGQUIT}) ::signal(number, SIG_IGN);
}

class Daemon {
 public:
  Daemon(NbdDuty duty, NbdKernel events, NbdKernel control, int log)
      : duty_(std::move(duty)), events_(std::move(events)), control_(std::move(control)), log_(log) {}

  [[noreturn]] void run() {
    for (;;) {
      const auto dead = events_.wait_for_dead_link(Deadline(std::chrono::hours(1)));
      if (!dead || (!dead->lost && dead->index != duty_.index)) continue;
      say(concat(duty_.servers[duty_.current].text(), " is lost"));
      reconnect();
    }
  }

 private:
  void say(std::string_view text) {
    const auto line = concat("bridgehead-nbd: ", text, "\n");
    if (::write(log_, line.data(), line.size()) < 0) return;  // nobody else to tell
  }

  // Every server in turn until one works. The root has nothing else, so there is no end to it.
  void reconnect() {
    auto pause = first_pause;
    Deadline next_line(std::chrono::seconds(0));
    for (std::size_t attempt = 1;; ++attempt) {
      duty_.current = (duty_.current + 1) % duty_.servers.size();
      const auto& server = duty_.servers[duty_.current];
      auto done = use(server);
      if (done) return say(concat("goes on with ", server.text()));
      if (next_line.passed()) {
        say(done.error().describe());
        next_line = Deadline(std::chrono::seconds(10));
      }
      if (attempt % duty_.servers.size() != 0) continue;
      ::poll(nullptr, 0, static_cast<int>(pause.count()));
      pause = std::min(pause * 2, longest_pause);
    }
  }

  Status use(const Endpoint& server) {
    auto connection = connect_nbd(server, duty_.export_name, Deadline(connect_limit));
    if (!connection) return fail(connection.error());
    if (connection->info.size != duty_.size) {
      return fail(concat("use ", server.text()),
                  concat("its export has ", connection->info.size, " bytes, the root ", duty_.size),
                  "all NBD servers must serve the same image");
    }
    auto replaced = control_.replace_connection(duty_.index, *connection);
    // No connection is dead (any more): the message was an old one.
    if (!replaced && replaced.error().why.find("No space left") != std::string::npos) return {};
    return replaced;
  }

  NbdDuty duty_;
  NbdKernel events_;
  NbdKernel control_;
  int log_;
};

}  // namespace

std::vector<std::string> to_arguments(const NbdDuty& duty) {
  std::vector<std::string> arguments{nbd_daemon_name, concat(duty.index), concat(duty.size), concat(duty.current),
                                     duty.export_name};
  for (const auto& server : duty.servers) arguments.push_back(server.text());
  return arguments;
}

std::optional<NbdDuty> nbd_duty(const std::vector<std::string>& arguments) {
  if (arguments.size() < 6) return std::nullopt;
  const auto index = parse_number(arguments[1]);
  const auto size = parse_number(arguments[2]);
  const auto current = parse_number(arguments[3]);
  if (!index || !size || !current || *index > 0xffff) return std::nullopt;
  NbdDuty duty{static_cast<std::uint32_t>(*index), *size, arguments[4], {}, static_cast<std::size_t>(*current)};
  for (std::size_t i = 5; i < arguments.size(); ++i) {
    const auto server = Endpoint::parse(arguments[i]);
    if (!server) return std::nullopt;
    duty.servers.push_back(*server);
  }
  if (duty.current >= duty.servers.size()) return std::nullopt;
  return duty;
}

Result<pid_t> start_nbd_daemon(const NbdDuty& duty) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("start the NBD client");
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const auto arguments = to_arguments(duty);
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
  return fail("start the NBD client", "it doesn't listen for dead connections", "look at the kernel's messages above");
}

int run_nbd_daemon(const std::vector<std::string>& arguments, int ready) {
  become_permanent();
  auto duty = nbd_duty(arguments);
  auto events = NbdKernel::open();
  auto control = NbdKernel::open();
  if (!duty || !events || !control || !events->listen_for_dead_links()) return 1;
  if (::write(ready, "1", 1) != 1) return 1;
  ::close(ready);
  Daemon(std::move(*duty), std::move(*events), std::move(*control), STDOUT_FILENO).run();
}

}  // namespace bridgehead::init
