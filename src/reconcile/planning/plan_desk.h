// PlanDesk: the plans that were shown and not applied, in memory only, the newest few. Showing one must change nothing,
// and applying it must do what was shown. Thread-safe; nothing here fails.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "model/planning.h"

namespace bridgehead::reconcile {

struct PlanBasis;  // planning/basis.h

// Which kinds of change a plan may hold: those that the policy doesn't switch off; those that it lets be done without
// asking; of these what can't wait (rules, limits, nodes to be emptied, woken and relieved); repairs only; repairs and
// balance, after a rollout that left nodes empty.
enum class PlanScope { shown, automatic, urgent, repair, refill };

struct Proposal {
  model::Plan plan;
  PlanScope scope = PlanScope::shown;
  std::shared_ptr<const PlanBasis> basis;
};

class PlanDesk {
 public:
  void put(Proposal proposal);
  // By id or name.
  std::optional<Proposal> find(const std::string& reference) const;

 private:
  static constexpr std::size_t kKept = 16;
  mutable std::mutex mutex_;
  std::deque<Proposal> proposals_;  // oldest first
};

}  // namespace bridgehead::reconcile
