// Commands about what machines of a model take (model::PowerProfile). The rules of commands.h hold.
#pragma once

#include <string>

#include "model/energy.h"
#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

struct SetPowerProfile {
  std::string machine;  // as in NodeFacts.machine; nodes of it may come later
  double idle_watts = 0;
  double busy_watts = 0;
  double off_watts = model::PowerProfile{}.off_watts;
};

Result<model::PowerProfile> set_power_profile(Commander& commander, const Caller& caller,
                                              const SetPowerProfile& request);
// not_found where that machine has none.
Result<model::PowerProfile> remove_power_profile(Commander& commander, const Caller& caller,
                                                 const std::string& machine);

}  // namespace bridgehead::reconcile
