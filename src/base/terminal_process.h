// TerminalProcess: a program on a terminal of its own (a pty, raw). What it prints is read from fd(), what is written
// there is typed. It ends with its owner: the destructor kills it and what it has started, and a manager that dies
// hangs up its terminal. Not thread-safe. For programs that want a terminal; others: CommandRunner.
#pragma once

#include <cstdint>

#include "base/command.h"
#include "base/fd.h"

namespace bridgehead {

// Where the program finds its command's input: its standard input is the terminal.
inline constexpr char kTerminalInputFile[] = "/dev/fd/3";

class TerminalProcess {
 public:
  // The command's timeout, success_codes, input_ends and output_limit don't apply; its input is at most 4 KiB. Errors:
  // not_found (no such program), io_error and resource_exhausted (no terminal).
  static Result<TerminalProcess> start(const Command& command);
  TerminalProcess(TerminalProcess&& other) noexcept;
  TerminalProcess& operator=(TerminalProcess&&) = delete;
  ~TerminalProcess() { end(); }

  // Non-blocking. Reading fails with EIO once the program has ended and all it printed was read.
  int fd() const { return terminal_.get(); }
  void resize(std::uint32_t columns, std::uint32_t rows);
  // Kills it if it still runs.
  void end();

 private:
  TerminalProcess(UniqueFd terminal, pid_t pid) : terminal_(std::move(terminal)), pid_(pid) {}

  UniqueFd terminal_;
  pid_t pid_ = -1;  // -1 = it has ended
};

}  // namespace bridgehead
