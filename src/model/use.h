// What guests and nodes use, as agents measure it every few seconds. Kept in memory only.
#pragma once

#include <vector>

#include "base/units.h"
#include "model/ids.h"

namespace bridgehead::model {

// Means over the time since the sample before.
struct GuestUse {
  VmId vm;
  double cpus = 0;     // CPUs kept busy: 1.5 = one and a half
  Bytes memory;        // resident on the node
  double storage = 0;  // bytes per second read from and written to its disks
  double network = 0;  // bytes per second in and out of its NICs
  bool operator==(const GuestUse&) const = default;
};

struct NodeUse {
  double cpus = 0;   // CPUs of the node that are busy, whatever with
  double watts = 0;  // of its CPUs and memory, as they count it themselves (RAPL); 0 = they don't
  std::vector<GuestUse> guests;
  bool operator==(const NodeUse&) const = default;
};

}  // namespace bridgehead::model
