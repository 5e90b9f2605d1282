// PowerControl: switches one machine on and off and proves it. What a BMC answers to a request proves nothing: after
// each change its state is read again until it is so, and others who may see the machine are asked whether they still
// do (PowerWitness). One instance per machine; thread-safe: calls on it come one after the other. Every call ends by
// its limits' deadline, or soon after a stop request.
//
// Errors: unauthenticated and permission_denied (the BMC refuses us; never tried again, since many lock users out),
// unavailable and timeout (nobody answers, or the state didn't come about in time: the machine may be in any state),
// failed_precondition (the BMC says off, others see the machine alive: it must not be taken for off), unsupported,
// cancelled.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace bridgehead::power {

enum class PowerState {
  on,
  off,       // many BMCs call a machine that sleeps (S3) off
  sleeping,  // only where it is told from off
  unknown,   // in between, or this way of control can't tell
};
std::string_view to_string(PowerState state);

// What the machine's others say of it: its agent's heartbeats, its peers, the shared pool.
enum class Sign {
  alive,   // it was heard of since the time asked for
  silent,  // it would have been heard of
  blind,   // whoever could tell is away as well
};
using PowerWitness = std::function<Sign(Monotonic since)>;

// Who says that the machine is in its state.
enum class Evidence {
  none,             // it was asked for, and nobody can tell
  bmc,              // the BMC alone
  witness,          // others, of a machine whose state can't be read
  bmc_and_witness,  // both
};
std::string_view to_string(Evidence evidence);

// How long what took. Kept by the caller, per host: the wake latency is `confirmed` of switching on, and then the time
// until its agent is there.
struct PowerTiming {
  std::chrono::milliseconds accepted{};   // until the BMC took the last request
  std::chrono::milliseconds confirmed{};  // until the state was proven
  unsigned requests = 0;                  // how often it was asked for
  unsigned readings = 0;                  // how often its state was read
  unsigned failures = 0;                  // of both
  bool operator==(const PowerTiming&) const = default;
};

struct PowerReport {
  PowerState state = PowerState::unknown;
  Evidence evidence = Evidence::none;
  bool changed = false;  // it was in another state before
  PowerTiming timing;
};

struct PowerLimits {
  std::chrono::milliseconds deadline = std::chrono::seconds(60);      // for all of it
  std::chrono::milliseconds attempt = std::chrono::seconds(10);       // for one exchange with the BMC
  std::chrono::milliseconds pause = std::chrono::seconds(1);          // between readings
  std::chrono::milliseconds ask_again = std::chrono::seconds(15);     // if the state isn't there by then
  std::chrono::milliseconds witness_time = std::chrono::seconds(10);  // a machine that is on is heard of within
  std::chrono::milliseconds off_time = std::chrono::seconds(5);       // power cycle: so long without power
  std::stop_token stop;
};

struct Finding {
  enum class Level { good, warning, bad };
  std::string subject;  // "reachable", "credentials", "privilege", "abilities", "clock", "latency", ...
  Level level = Level::good;
  std::string message;
  std::string fix;  // what to do; empty where nothing is to be done
};

struct PowerAbilities {
  bool status = true;  // its state can be read
  bool on = true;
  bool off = true;
  bool tells_sleep = false;  // sleeping is told from off
  bool operator==(const PowerAbilities&) const = default;
};

struct PowerCheck {
  std::vector<Finding> findings;
  PowerAbilities abilities;
  std::optional<std::chrono::milliseconds> latency;  // of the quickest of some readings
  std::optional<std::chrono::seconds> clock_skew;    // the BMC's clock minus ours

  bool good() const;  // nothing bad among the findings
};

class PowerControl {
 public:
  virtual ~PowerControl() = default;

  // What the BMC says now; transient failures are tried again until the deadline.
  virtual Result<PowerState> status(const PowerLimits& limits = {}) = 0;

  // On already: nothing is asked for. Wakes a machine that sleeps.
  virtual Result<PowerReport> on(const PowerLimits& limits = {}) = 0;

  // Pulls the plug. Is asked for at least once, also if the BMC says off: fencing stands on this.
  virtual Result<PowerReport> off(const PowerLimits& limits = {}) = 0;

  // Off, proven, and on again, proven: a BMC's own cycle would look the same before and after. `switched_off` is called
  // between the two: who takes a cycle up again after that has only to switch on. An error says whether it is off now.
  virtual Result<PowerReport> cycle(const std::function<Status()>& switched_off, const PowerLimits& limits = {}) = 0;

  // No BMC puts a machine to sleep: `fall_asleep` has its own system do it. This proves that it came to pass.
  virtual Result<PowerReport> sleep(const std::function<Status()>& fall_asleep, const PowerLimits& limits = {}) = 0;

  // What works and what doesn't, with a fix each. Changes nothing on the machine.
  virtual PowerCheck check(const PowerLimits& limits = {}) = 0;
};

}  // namespace bridgehead::power
