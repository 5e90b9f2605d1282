// RawTerminal: standard input's terminal in raw mode while this lives, so that each key goes to a console. Nothing
// where it is no terminal. Not thread-safe.
#pragma once

#include <termios.h>
#include <unistd.h>

namespace bridgehead {

class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    active_ = true;
    termios raw = before_;
    ::cfmakeraw(&raw);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawTerminal() {
    if (active_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  static constexpr char kLeave = 0x1d;  // Ctrl-], as telnet and virsh have it

 private:
  termios before_{};
  bool active_ = false;
};

}  // namespace bridgehead
