// What the manager keeps of leases, silent nodes and restarts (src/availability). One record; its text is that
// module's.
#pragma once

#include <string>

#include "model/ids.h"

namespace bridgehead::model {

inline constexpr char kAvailabilityId[] = "availability";

struct AvailabilityState {
  AvailabilityId id;
  std::string text;  // JSON
  bool operator==(const AvailabilityState&) const = default;
};

}  // namespace bridgehead::model
