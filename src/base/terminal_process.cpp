#include "base/terminal_process.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/file.h"
#include "base/spawn_parts.h"

namespace bridgehead {
namespace {

constexpr int kInputFd = 3;  // of kTerminalInputFile

struct Terminal {
  UniqueFd ours;
  std::string theirs;  // path
};

// Raw from the start, so that nothing is echoed before the program says how it wants it.
Result<Terminal> make_terminal() {
  UniqueFd ours(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char path[64];
  if (!ours || ::grantpt(ours.get()) != 0 || ::unlockpt(ours.get()) != 0 ||
      ::ptsname_r(ours.get(), path, sizeof path) != 0) {
    return fail_errno(errno, "open a terminal");
  }
  termios modes{};
  if (::tcgetattr(ours.get(), &modes) != 0) return fail_errno(errno, "set up a terminal");
  ::cfmakeraw(&modes);
  ::tcsetattr(ours.get(), TCSANOW, &modes);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  return Terminal{std::move(ours), path};
}

}  // namespace

Result<TerminalProcess> TerminalProcess::start(const Command& command) {
  auto terminal = make_terminal();
  if (!terminal) return forward(terminal);
  auto input = make_pipe();
  if (!input) return forward(input);
  if (auto fed = write_all(input->write.get(), command.input.value_or(""), "a pipe"); !fed) return forward(fed);
  input->write.reset();

  SpawnActions actions;
  // A session's first terminal becomes its own.
  SpawnAttributes attributes(POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_addopen(&actions.actions, 0, terminal->theirs.c_str(), O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions.actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions.actions, 0, 2);
  posix_spawn_file_actions_adddup2(&actions.actions, input->read.get(), kInputFd);
  close_from(actions, kInputFd + 1);

  const auto pid = spawn(command, actions, attributes);
  if (!pid) return forward(pid);
  return TerminalProcess(std::move(terminal->ours), *pid);
}

TerminalProcess::TerminalProcess(TerminalProcess&& other) noexcept
    : terminal_(std::move(other.terminal_)), pid_(std::exchange(other.pid_, -1)) {}

void TerminalProcess::resize(std::uint32_t columns, std::uint32_t rows) {
  winsize size{};
  size.ws_col = static_cast<unsigned short>(std::min(columns, 0xffffu));
  size.ws_row = static_cast<unsigned short>(std::min(rows, 0xffffu));
  ::ioctl(terminal_.get(), TIOCSWINSZ, &size);
}

void TerminalProcess::end() {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  wait_for(pid_);
  pid_ = -1;
}

}  // namespace bridgehead
