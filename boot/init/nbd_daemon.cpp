#include "nbd_daemon.h"

#include <poll.h>

#include <algorithm>

#include "daemon.h"
#include "nbd_kernel.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::chrono::seconds connect_limit{4};
constexpr std::chrono::milliseconds first_pause{100};
constexpr std::chrono::milliseconds longest_pause{3000};

class Daemon {
 public:
  Daemon(NbdDuty duty, NbdKernel events, NbdKernel control)
      : duty_(std::move(duty)), events_(std::move(events)), control_(std::move(control)) {}

  [[noreturn]] void run() {
    for (;;) {
      const auto dead = events_.wait_for_dead_link(Deadline(std::chrono::hours(1)));
      if (!dead || (!dead->lost && dead->index != duty_.index)) continue;
      say(concat(duty_.servers[duty_.current].text(), " is lost"));
      reconnect();
    }
  }

 private:
  static void say(std::string_view text) { log_line("bridgehead-nbd", text, Severity::warning); }

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
  return start_daemon(to_arguments(duty), "it doesn't listen for dead connections");
}

int run_nbd_daemon(const std::vector<std::string>& arguments) {
  become_permanent("bridgehead-nbd");
  auto duty = nbd_duty(arguments);
  auto events = NbdKernel::open();
  auto control = NbdKernel::open();
  if (!duty || !events || !control || !events->listen_for_dead_links()) return 1;
  if (!tell_ready()) return 1;
  Daemon(std::move(*duty), std::move(*events), std::move(*control)).run();
}

}  // namespace bridgehead::init
