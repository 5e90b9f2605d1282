// PowerDriver: one way to reach a machine's power (IPMI, Redfish, ...). Says what it was told and decides nothing:
// VerifiedPower repeats, waits and proves. Not thread-safe. Each call ends within its attempt's time, or soon after a
// stop request.
//
// Errors: unavailable and timeout (nobody answers; may be tried again), resource_exhausted (busy; may be tried again),
// io_error (an answer that isn't understood; may be tried again), unauthenticated, permission_denied, invalid_argument,
// unsupported, not_found (won't change by itself), failed_precondition (not in this state), cancelled. No message
// contains a credential.
#pragma once

#include "power/power_control.h"

namespace bridgehead::power {

struct Attempt {
  std::chrono::milliseconds timeout = std::chrono::seconds(10);
  std::stop_token stop;
};

enum class PowerRequest { on, off };

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
};

// Whether trying again may help.
bool is_transient(ErrorCode code);

}  // namespace bridgehead::power
