// What machines take, and what nodes and guests have used: the ledger's records, each of one hour, day or month (UTC),
// which are kept in the store and not in memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/ids.h"

namespace bridgehead::model {

// Who says how many watts a node takes.
enum class PowerSource : std::uint8_t {
  bmc,    // its BMC, of the whole machine
  rapl,   // its CPUs, of themselves and the memory
  model,  // nobody: modelled from how busy its CPUs are
};

// What machines of one model take, as a person has it from their data sheet or a meter; for nodes that nobody measures.
struct PowerProfile {
  PowerProfileId id;        // the machine's model, as in NodeFacts.machine
  double idle_watts = 100;  // on, without load
  double busy_watts = 300;  // on, all CPUs in use; linear between
  double off_watts = 5;     // asleep or off: what the BMC takes
  std::string created_by;
  Timestamp created{};

  bool operator==(const PowerProfile&) const = default;
};

struct KilowattHours {
  double bmc = 0;
  double rapl = 0;
  double model = 0;

  double sum() const { return bmc + rapl + model; }
  double& of(PowerSource source) {
    return source == PowerSource::bmc ? bmc : source == PowerSource::rapl ? rapl : model;
  }
  KilowattHours& operator+=(const KilowattHours& other) {
    bmc += other.bmc;
    rapl += other.rapl;
    model += other.model;
    return *this;
  }
  bool operator==(const KilowattHours&) const = default;
};

struct NodeEnergy {
  std::string name;
  KilowattHours used;
  double unknown = 0;      // hours in which nobody knew whether it was on
  double off = 0;          // hours in which it was off or asleep
  double saved = 0;        // kWh: what it would have taken idle then, less what it took
  double promised = 0;     // kWh that plans said it would save
  double least_watts = 0;  // that its BMC has said while it was on, up to then; 0 = it said none

  bool operator==(const NodeEnergy&) const = default;
};

struct GuestEnergy {
  std::string name;
  KilowattHours used;

  bool operator==(const GuestEnergy&) const = default;
};

struct TimeSpan {
  Timestamp from{};
  Timestamp to{};

  bool operator==(const TimeSpan&) const = default;
};

struct EnergyPeriod {
  EnergyPeriodId id;       // "2026-11-29T21", "2026-11-29" or "2026-11"
  Timestamp counted_to{};  // all up to then is in it, nothing after
  std::map<NodeId, NodeEnergy> nodes;
  std::map<VmId, GuestEnergy> guests;
  // When nobody counted, because the manager was away. May begin before the period: such a time stands where it ended.
  std::vector<TimeSpan> away;

  bool operator==(const EnergyPeriod&) const = default;
};

}  // namespace bridgehead::model
