// Supervisor: runs long-lived external programs (services), starts them anew when they end, and reads what they print.
// They die with this process, even when it is killed by SIGKILL: PR_SET_PDEATHSIG, which is tied to the thread that
// forks, so all are forked by one thread of the Supervisor's own.
//
// Thread-safe. on_line runs on that thread: it must return soon and may not call back into the Supervisor.
// The destructor stops all services and waits for their end (at most the longest stop_grace and a bit).
#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/command.h"
#include "base/result.h"

namespace bridgehead {

// A directory that the service sees in another's place (a bind mount in a mount namespace of its own); needs root.
struct BindMount {
  std::string source;  // must exist
  std::string target;  // must exist
  bool operator==(const BindMount&) const = default;
};

// Who the program runs as. It must not give up root by itself: the kernel forgets PR_SET_PDEATHSIG when a process
// changes its user, and such a program would outlive us.
struct RunAs {
  std::string user;
  std::vector<int> capabilities;  // CAP_NET_ADMIN and so on, kept in spite of not being root
  bool operator==(const RunAs&) const = default;
};

// A program to keep running, as a value. It must stay in the foreground.
struct ServiceSpec {
  std::string name;               // unique in one Supervisor; for logs and status
  Command command;                // its timeout, input, success_codes and output_limit don't apply
  std::vector<BindMount> mounts;  // empty: our own mount namespace
  std::optional<RunAs> run_as;    // none: as we are

  // Waited before the next start: doubles with each end that comes within `stable_after`, from first to last.
  std::chrono::milliseconds restart_first{250};
  std::chrono::milliseconds restart_last{std::chrono::seconds(30)};
  std::chrono::milliseconds stable_after{std::chrono::seconds(10)};
  int stop_signal = SIGTERM;                                      // how it is told to end
  std::chrono::milliseconds stop_grace{std::chrono::seconds(5)};  // from then to SIGKILL

  // Each line of stdout and stderr without its end; lines beyond 4 KiB are cut. Not compared by operator==.
  std::function<void(std::string_view line)> on_line;

  bool operator==(const ServiceSpec& other) const;
};

enum class ServiceState {
  starting,  // will be started at once
  running,
  waiting,   // it ended; the next start is due in a while
  stopping,  // told to end
};

struct ServiceStatus {
  std::string name;
  ServiceState state = ServiceState::starting;
  int pid = 0;                 // 0 unless running or stopping
  Timestamp since{};           // when this state began
  std::uint32_t restarts = 0;  // starts after the first
  std::string last_exit;  // how it last ended: "exit code 2: <its last line>", "killed by signal 9"; "" = never did
  std::string last_line;  // that it printed
};

class Supervisor {
 public:
  explicit Supervisor(const Clock& clock);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Starts a service and keeps it running. One of that name with the same spec goes on undisturbed; with another spec
  // it is ended first. Returns when the program has been executed, before it is ready to serve.
  // Errors: of the first start: not_found (no such program), io_error (fork, mounts); then nothing is kept.
  Status start(ServiceSpec spec);

  // Ends it and forgets it; returns when it has ended. An unknown name is success.
  void stop(std::string_view name);
  void stop_all();

  // Ends it and starts it at once, without backoff. not_found: no such service.
  Status restart(std::string_view name);
  // SIGHUP and the like. not_found: no such service; unavailable: it isn't running just now (it will read its files
  // when it starts, so for a reload this is no failure).
  Status signal(std::string_view name, int signal_number);

  std::optional<ServiceStatus> status(std::string_view name) const;
  std::vector<ServiceStatus> all() const;

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace bridgehead
