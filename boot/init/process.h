// Children of process 1: started, awaited with a deadline, reaped. One thread; SIGCHLD must be blocked
// (`block_signals`).
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "deadline.h"
#include "result.h"

namespace bridgehead::init {

void block_signals();
// Before exec: the new program gets the signals as the kernel gave them to us.
void restore_signals();

// This program's file, by which it starts itself under other names.
std::string own_program();
// Replaces this process; `environment` as "NAME=value". Returns only where it fails.
void execute(const std::string& path, const std::vector<std::string>& arguments,
             const std::vector<std::string>& environment);

struct Command {
  std::string path;
  std::vector<std::string> arguments;  // with the name
  int input_output = -1;               // stdin, stdout and stderr; -1: ours
  bool own_terminal = false;           // a session of its own, with the console as its terminal
};
Result<pid_t> start(const Command& command);
// Runs `work` in a child; its exit code is what work returns.
Result<pid_t> start(const std::function<int()>& work);

// The exit code (128 + signal where it was killed). After the deadline the child is killed: 124.
// Other children that end meanwhile are reaped.
int wait_for(pid_t child, Deadline deadline);
void reap();
// Sleeps, and reaps what ends meanwhile.
void pause_for(std::chrono::milliseconds time);

// What may hang in the kernel (a mount from a server that is away) runs in a child with a deadline.
// `work` fails with errno set, which comes back as the failure's reason.
Status guarded(const std::string& what, const std::string& hint, Deadline deadline, const std::function<bool()>& work);

}  // namespace bridgehead::init
