#include "lab/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/fd.h"
#include "base/file.h"

namespace bridgehead::lab {
namespace {

// A process that is the recorded one, held so that its number can't be used again meanwhile. Empty if it isn't running.
UniqueFd hold(const ProcessId& process) {
  if (process.pid <= 0) return {};
  UniqueFd held(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  return held && identify(process.pid) == process ? std::move(held) : UniqueFd();
}

void send(const UniqueFd& held, int signal) { ::syscall(SYS_pidfd_send_signal, held.get(), signal, nullptr, 0); }

bool ends_within(const UniqueFd& held, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{held.get(), POLLIN, 0};
    const int got = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (got > 0) return true;
    if (got == 0 || errno != EINTR) return false;
  }
}

struct Pipe {
  UniqueFd read, write;
  static Result<Pipe> make() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

enum class Stage : int { name_space, mounts, log, exec };

struct Failure {
  Stage stage;
  int error_number;
};

std::string_view describe(Stage stage) {
  switch (stage) {
    case Stage::name_space: return "enter the lab's network namespace";
    case Stage::mounts: return "mount what it sees";
    case Stage::log: return "open its log";
    case Stage::exec: return "execute it";
  }
  return "start it";
}

bool mount_own(const Daemon& daemon) {
  if (!daemon.own_sysfs && daemon.binds.empty()) return true;
  // slave: what is mounted here stays here; what the host mounts later is still seen.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) return false;
  for (const auto& bind : daemon.binds) {
    if (::mount(bind.source.c_str(), bind.target.c_str(), nullptr, MS_BIND, nullptr) != 0) return false;
  }
  return !daemon.own_sysfs || ::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

// What start_daemon prepares before it forks, so that the new process only makes system calls.
struct Prepared {
  std::vector<char*> arguments;
  const Daemon& daemon;
  UniqueFd name_space;
  Pipe go;
  Pipe report;
};

[[noreturn]] void become(const Prepared& prepared) {
  char byte = 0;
  // End of file instead of a byte: nobody has written down who we are.
  if (::read(prepared.go.read.get(), &byte, 1) != 1) ::_exit(0);
  const auto give_up = [&](Stage stage) {
    const Failure failure{stage, errno};
    (void)!::write(prepared.report.write.get(), &failure, sizeof failure);
    ::_exit(127);
  };
  const auto& daemon = prepared.daemon;
  if (prepared.name_space && ::setns(prepared.name_space.get(), CLONE_NEWNET) != 0) give_up(Stage::name_space);
  if (!mount_own(daemon)) give_up(Stage::mounts);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log = ::open(daemon.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (nothing < 0 || log < 0 || ::dup2(nothing, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) give_up(Stage::log);
  if (::chdir("/") != 0) give_up(Stage::log);
  // What our caller left open isn't meant for it (a pipe whose reader waits for the end, for one).
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  for (int signal = 1; signal < 32; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (daemon.timer_slack.count() > 0) ::prctl(PR_SET_TIMERSLACK, daemon.timer_slack.count());
  for (const auto& [name, value] : daemon.command.environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::execvp(prepared.arguments[0], prepared.arguments.data());
  give_up(Stage::exec);
  ::_exit(127);
}

// Forks twice: the daemon's parent ends at once, so that it belongs to the host's first process.
Result<pid_t> fork_detached(const Prepared& prepared) {
  auto number = Pipe::make();
  if (!number) return forward(number);
  const pid_t middle = ::fork();
  if (middle < 0) return fail_errno(errno, "fork");
  if (middle == 0) {
    ::setsid();
    const pid_t daemon = ::fork();
    if (daemon == 0) {
      // Ours would keep the end of the file from coming.
      ::close(prepared.go.write.get());
      become(prepared);
    }
    (void)!::write(number->write.get(), &daemon, sizeof daemon);
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(middle, &status, 0) < 0 && errno == EINTR) {
  }
  pid_t daemon = -1;
  number->write.reset();
  if (::read(number->read.get(), &daemon, sizeof daemon) != sizeof daemon || daemon < 0) {
    return fail(ErrorCode::resource_exhausted, "no process can be started");
  }
  return daemon;
}

}  // namespace

std::optional<ProcessId> identify(pid_t pid) {
  const auto stat = read_file(fmt::format("/proc/{}/stat", pid));
  if (!stat) return std::nullopt;
  // The name, in parentheses, may hold anything: what follows the last one is numbers.
  const auto name_end = stat->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat->size()) return std::nullopt;
  const char state = (*stat)[name_end + 2];
  if (state == 'Z' || state == 'X') return std::nullopt;
  std::size_t at = name_end + 2;
  for (int field = 3; field < 22; ++field) {
    at = stat->find(' ', at);
    if (at == std::string::npos) return std::nullopt;
    ++at;
  }
  return ProcessId{pid, std::strtoull(stat->c_str() + at, nullptr, 10)};
}

bool is_running(const ProcessId& process) { return process.pid > 0 && identify(process.pid) == process; }

void send_signal(const ProcessId& process, int signal) {
  if (const auto held = hold(process)) send(held, signal);
}

bool wait_for_end(const ProcessId& process, std::chrono::milliseconds patience) {
  const auto held = hold(process);
  return !held || ends_within(held, patience);
}

Status end_process(const ProcessId& process, int first, std::chrono::milliseconds patience) {
  const auto held = hold(process);
  if (!held) return {};
  if (first != 0) {
    send(held, first);
    if (ends_within(held, patience)) return {};
  }
  send(held, SIGKILL);
  if (ends_within(held, std::chrono::seconds(10))) return {};
  return fail(ErrorCode::timeout, "process {} does not end, though it was killed", process.pid);
}

Result<ProcessId> start_daemon(const Daemon& daemon, const Recorder& record) {
  auto go = Pipe::make();
  auto report = Pipe::make();
  if (!go || !report) return fail_errno(EMFILE, "make a pipe");
  Prepared prepared{.daemon = daemon, .go = std::move(*go), .report = std::move(*report)};
  if (!daemon.network_namespace.empty()) {
    auto opened = open_file(daemon.network_namespace, O_RDONLY);
    if (!opened) return forward(opened);
    prepared.name_space = std::move(*opened);
  }
  std::vector<std::string> words{daemon.command.program};
  words.insert(words.end(), daemon.command.arguments.begin(), daemon.command.arguments.end());
  for (auto& word : words) prepared.arguments.push_back(word.data());
  prepared.arguments.push_back(nullptr);

  const auto pid = fork_detached(prepared);
  if (!pid) return forward(pid);
  prepared.report.write.reset();
  const auto process = identify(*pid);
  if (!process) return fail(ErrorCode::internal, "{} ended before it began", daemon.command.program);
  if (auto recorded = record(*process); !recorded) return forward(recorded);
  if (::write(prepared.go.write.get(), "g", 1) != 1) return fail_errno(errno, "start " + daemon.command.program);
  Failure failure{};
  ssize_t got = 0;
  do {
    got = ::read(prepared.report.read.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof failure) {
    return fail_errno(failure.error_number,
                      fmt::format("start {}: {}", daemon.command.program, describe(failure.stage)));
  }
  return *process;
}

std::string last_lines(const std::filesystem::path& log) {
  auto text = read_file(log).value_or("");
  while (text.ends_with('\n')) text.pop_back();
  std::size_t from = text.size();
  for (int line = 0; line < 5 && from != std::string::npos && from > 0; ++line) from = text.rfind('\n', from - 1);
  return text.substr(from == std::string::npos ? 0 : from + (from < text.size() ? 1 : 0));
}

std::string boot_id() {
  auto id = read_file("/proc/sys/kernel/random/boot_id");
  if (!id) return "unknown";
  while (id->ends_with('\n')) id->pop_back();
  return *id;
}

}  // namespace bridgehead::lab
