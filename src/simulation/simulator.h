// Simulator: runs a scenario on virtual time and says what came of it. The same scenario, planner and hooks give the
// same result and the same log, byte for byte, on every run. Not thread-safe.
#pragma once

#include <functional>
#include <string_view>

#include "simulation/control.h"
#include "simulation/scenario.h"
#include "simulation/watch.h"

namespace bridgehead::simulation {

struct Sample {   // of some minutes
  double at = 0;  // seconds from the begin
  double hosts_on = 0;
  double watts = 0;
  double watts_always_on = 0;
  double cpus = 0;     // wanted by guests
  double unmet = 0;    // guests whose demand wasn't met, times seconds
  double moves = 0;    // begun in this time
  double waiting = 0;  // guests that should run and don't, at most
};

struct Outcome {
  std::string name;
  std::uint64_t seed = 0;
  double length = 0;  // seconds that were simulated
  std::size_t hosts = 0;
  std::size_t guests = 0;  // that were there at any time
  double guest_days = 0;
  double energy = 0;  // joules
  double energy_always_on = 0;
  double worst_unmet = 0;  // seconds in one day of the guest that fared worst
  std::string worst_guest;
  double unmet = 0;              // guests times seconds
  double down = 0;               // guests times seconds that they should have run and didn't
  std::uint16_t most_moves = 0;  // of one guest in one day
  double mean_hosts_on = 0;
  Counts counts;
  std::uint64_t failures = 0, partitions = 0;
  std::size_t waiting_at_end = 0;
  std::vector<Sample> samples;
  std::vector<Violation> violations;
  std::uint64_t checks = 0;
  std::uint64_t digest = 0;  // of the log
  double real_seconds = 0;   // that the run took

  double saved() const { return energy_always_on > 0 ? 1 - energy / energy_always_on : 0; }
  double moves_per_guest_day() const { return guest_days > 0 ? static_cast<double>(counts.moves) / guest_days : 0; }
};

struct RunOptions {
  Planner planner;  // the product's, unless a test has another
  Hooks hooks;
  std::function<void(std::string_view)> log;                 // each line
  std::function<void(double done, double length)> progress;  // in virtual seconds
  bool stop_at_violation = true;
  std::size_t samples = 336;
};

// Errors: the trace that the scenario names can't be read.
Result<Outcome> run(const Scenario& scenario, const RunOptions& options);

// The trace that a scenario has: generated or read.
Result<Trace> trace_of(const Scenario& scenario);

}  // namespace bridgehead::simulation
