// PowerDriver: one way to reach a machine's power and console (IPMI, Redfish, ...). Says what it was told and decides
// nothing: VerifiedPower repeats, waits and proves. Not thread-safe. Each call ends within its attempt's time, or soon
// after a stop request.
//
// Errors: unavailable and timeout (nobody answers; may be tried again), resource_exhausted (busy; may be tried again),
// io_error (an answer that isn't understood; may be tried again), unauthenticated, permission_denied, invalid_argument,
// unsupported, not_found (won't change by itself), failed_precondition (not in this state), cancelled. No message
// contains a credential.
#pragma once

#include "base/command.h"
#include "power/power_control.h"

namespace bridgehead::power {

struct Attempt {
  std::chrono::milliseconds timeout = std::chrono::seconds(10);
  std::stop_token stop;
};

enum class PowerRequest { on, off };

// A program that joins the terminal it is started on (TerminalProcess) with a machine's serial console, until either
// ends.
struct ConsoleProgram {
  Command command;               // its timeout is for becoming connected
  std::string connected;         // in the line that it prints once it is; what follows that line is the machine's
  std::optional<Command> leave;  // has the BMC end the session, whoever has it
  std::function<Error(std::string_view said)> explain;  // if it ends before it is connected
};

class PowerDriver {
 public:
  virtual ~PowerDriver() = default;
  virtual PowerAbilities abilities() const = 0;
  virtual Result<PowerState> read(const Attempt& attempt) = 0;
  // Success: it was accepted. Refusing since it is so already is failed_precondition.
  virtual Status request(PowerRequest request, const Attempt& attempt) = 0;
  // Adds what only this way knows: privilege, clock, ... Reachability, credentials and latency are found by reading.
  // Sends credentials only while the check is good: a user that was refused isn't to be locked out by more of it.
  virtual void inspect(const Attempt& attempt, PowerCheck& check) = 0;
  // What the whole machine takes now. unsupported: this way can't tell.
  virtual Result<double> watts(const Attempt& attempt);
  // None: this way has no console. Asks nobody.
  virtual std::optional<ConsoleProgram> console() const { return std::nullopt; }
};

// Whether trying again may help.
bool is_transient(ErrorCode code);

}  // namespace bridgehead::power
