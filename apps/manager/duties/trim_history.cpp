#include "manager/duties/trim_history.h"

#include "manager/messages.h"
#include "reconcile/commands/plans.h"

namespace bridgehead::manager {

void trim_history(state::Inventory& inventory, std::size_t keep) {
  auto trimmed = inventory.trim(keep);
  if (trimmed) trimmed = reconcile::trim_plans(inventory);
  if (!trimmed) log::warning(history_not_trimmed, "{}", trimmed.error().describe());
}

}  // namespace bridgehead::manager
