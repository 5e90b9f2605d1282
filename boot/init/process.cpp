#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "files.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr int killed_by_deadline = 124;

sigset_t child_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const auto& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Returns when a child has ended or the time is over.
void wait_for_child_signal(Deadline deadline) {
  const auto set = child_signal();
  const auto left = deadline.left();
  timespec time{left.count() / 1000, left.count() % 1000 * 1000000};
  ::sigtimedwait(&set, nullptr, &time);
}

}  // namespace

void block_signals() {
  const auto set = child_signal();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

void restore_signals() {
  const auto set = child_signal();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGPIPE}) ::signal(number, SIG_DFL);
}

std::string own_program() {
  std::array<char, 256> path{};
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
  return length < 0 ? std::string("/init") : std::string(path.data(), static_cast<std::size_t>(length));
}

void execute(const std::string& path, const std::vector<std::string>& arguments,
             const std::vector<std::string>& environment) {
  ::execve(path.c_str(), pointers(arguments).data(), pointers(environment).data());
}

Result<pid_t> start(const Command& command) {
  const auto arguments = pointers(command.arguments);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(concat("start ", command.path));
  if (child > 0) return child;
  restore_signals();
  if (command.own_terminal) ::setsid();
  if (command.input_output >= 0) {
    for (int fd = 0; fd < 3; ++fd) ::dup2(command.input_output, fd);
  }
  if (command.own_terminal) ::ioctl(0, TIOCSCTTY, 1);
  ::execv(command.path.c_str(), arguments.data());
  ::_exit(127);
}

Result<pid_t> start(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("start a child");
  if (child > 0) return child;
  ::_exit(work());
}

int wait_for(pid_t child, Deadline deadline) {
  bool killed = false;
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended == child) {
      if (killed) return killed_by_deadline;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (ended < 0 && errno == ECHILD) return killed_by_deadline;
    if (ended > 0) continue;
    if (deadline.passed()) {
      // What hangs in the kernel beyond SIGKILL is left behind; it mustn't take us with it.
      if (killed) return killed_by_deadline;
      ::kill(child, SIGKILL);
      killed = true;
      deadline = Deadline(std::chrono::seconds(1));
    }
    wait_for_child_signal(deadline);
  }
}

void reap() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void pause_for(std::chrono::milliseconds time) {
  const Deadline end(time);
  while (!end.passed()) {
    wait_for_child_signal(end);
    reap();
  }
}

Status guarded(const std::string& what, const std::string& hint, Deadline deadline, const std::function<bool()>& work) {
  auto child = start([&] { return work() ? 0 : std::min(errno == 0 ? EIO : errno, 123); });
  if (!child) return fail(child.error());
  const int code = wait_for(*child, deadline);
  if (code == 0) return {};
  if (code == killed_by_deadline) return fail(what, "no answer in time", hint);
  return fail(what, std::strerror(code), hint);
}

}  // namespace bridgehead::init
