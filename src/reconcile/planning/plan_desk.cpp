#include "reconcile/planning/plan_desk.h"

#include <algorithm>

namespace bridgehead::reconcile {

void PlanDesk::put(Proposal proposal) {
  const std::lock_guard lock(mutex_);
  proposals_.push_back(std::move(proposal));
  if (proposals_.size() > kKept) proposals_.pop_front();
}

std::optional<Proposal> PlanDesk::find(const std::string& reference) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(proposals_.rbegin(), proposals_.rend(), [&](const Proposal& one) {
    return one.plan.id.str() == reference || one.plan.name == reference;
  });
  return found == proposals_.rend() ? std::nullopt : std::optional(*found);
}

}  // namespace bridgehead::reconcile
