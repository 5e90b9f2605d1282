#include "manager/duties/look_at_plan.h"

#include "manager/messages.h"

namespace bridgehead::manager {

void look_at_plan(reconcile::AutoPlanner& planner) {
  const auto looked = planner.look();
  if (!looked) log::warning(plan_not_applied, "{}", looked.error().describe());
}

}  // namespace bridgehead::manager
