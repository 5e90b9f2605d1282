// The ledger's periods: which hour, day or month a moment is in, and adding up. Pure functions; thread-safe.
#pragma once

#include <string>

#include "model/energy.h"
#include "reconcile/node_watts.h"

namespace bridgehead::energy_desk {

using Hours = std::chrono::duration<double, std::ratio<3600>>;

enum class Length : std::uint8_t { hour, day, month };

// "2026-11-29T21", "2026-11-29", "2026-11"; UTC.
model::EnergyPeriodId period_of(Timestamp time, Length length);
Length length_of(const model::EnergyPeriodId& id);
// data_corrupt for what period_of doesn't write.
Result<model::TimeSpan> span_of(const model::EnergyPeriodId& id);

// A node and its guests as one look found them.
struct Seen {
  model::NodeId id;
  std::string name;
  std::optional<reconcile::NodeWatts> watts;  // none: nobody knows whether it is on
  double promised = 0;                        // watts that a plan has said are saved
  struct Guest {
    model::VmId id;
    std::string name;
    double part = 0;  // of what the node takes
  };
  std::vector<Guest> guests;
};

// Adds that the node was so for this time.
void add(model::EnergyPeriod& period, const Seen& seen, Hours time);
// Adds the later period's figures to an earlier or longer one.
void merge(model::EnergyPeriod& into, const model::EnergyPeriod& later);
void merge(model::NodeEnergy& into, const model::NodeEnergy& later);

// What a guest has of its node: of what the node takes by being on (`idle_part` of it all) its part of the memory, of
// what it takes by being busy its part of the busy CPUs. Both are parts of what was measured, too.
struct Share {
  double memory = 0;  // 0 .. 1: of the node's
  double cpus = 0;    // 0 .. 1: of the busy ones
};
double part_of(const Share& share, double idle_part);

}  // namespace bridgehead::energy_desk
