// Periodic duty: what the policy lets be done without asking is planned and done.
#pragma once

#include "reconcile/planning/auto_planner.h"

namespace bridgehead::manager {

// Failures are logged; the next turn tries again.
void look_at_plan(reconcile::AutoPlanner& planner);

}  // namespace bridgehead::manager
