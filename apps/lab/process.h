// Processes that outlive this program: started detached, recorded by number and start time (numbers are used again,
// the pair isn't), ended without a race by a pidfd. Thread-safety: start_daemon only while no other thread runs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "base/command.h"
#include "base/result.h"

namespace bridgehead::lab {

struct ProcessId {
  pid_t pid = 0;                  // 0 = none
  std::uint64_t start_ticks = 0;  // since the host's start, field 22 of /proc/<pid>/stat
  bool operator==(const ProcessId&) const = default;
};

// Empty if there is no such process, or it has ended and waits for its parent.
std::optional<ProcessId> identify(pid_t pid);
bool is_running(const ProcessId& process);

// `first` (0: at once SIGKILL), then, if it doesn't end within `patience`, SIGKILL. Success if it wasn't running.
Status end_process(const ProcessId& process, int first, std::chrono::milliseconds patience);
void send_signal(const ProcessId& process, int signal);
// True if it has ended by then.
bool wait_for_end(const ProcessId& process, std::chrono::milliseconds patience);

// A directory that a daemon sees in another one's place.
struct Bind {
  std::filesystem::path source;
  std::filesystem::path target;  // must exist
};

struct Daemon {
  Command command;                          // its timeout and input don't count
  std::filesystem::path network_namespace;  // entered before anything else
  bool own_sysfs = false;     // a /sys that shows this namespace's interfaces, in a mount namespace of its own
  std::vector<Bind> binds;    // in a mount namespace of its own
  std::filesystem::path log;  // standard output and error are appended to it
  std::chrono::nanoseconds timer_slack{0};  // how late its sleeps may end (prctl(2), PR_SET_TIMERSLACK); 0: as ours
};

// Writes down who the new process is. It runs nothing before this has succeeded: if this program is killed in between,
// the process ends by itself.
using Recorder = std::function<Status(const ProcessId&)>;

// In a session of its own, child of nobody here. Errors: what `record` says, not_found (no such program), errno's.
Result<ProcessId> start_daemon(const Daemon& daemon, const Recorder& record);

// The end of a log, for an error's message.
std::string last_lines(const std::filesystem::path& log);

// This boot of the host; pids and start times mean nothing beyond it.
std::string boot_id();

}  // namespace bridgehead::lab
