#include "scheduler/placement.h"

#include "scheduler/targets.h"

namespace bridgehead::scheduler {

struct PlacementIndex::Compiled {
  Compiled(const Cluster& cluster, const Policy& policy, Timestamp now)
      : problem(cluster, policy, now), state(problem), targets(state) {}

  Problem problem;
  State state;
  Targets targets;
};

PlacementIndex::PlacementIndex(const Cluster& cluster, const Policy& policy, Timestamp now)
    : compiled_(std::make_unique<Compiled>(cluster, policy, now)) {}

PlacementIndex::~PlacementIndex() = default;

std::optional<HostIndex> PlacementIndex::place(GuestIndex guest) {
  const auto host = compiled_->targets.best(guest);
  if (host) compiled_->state.move(guest, *host);
  return host;
}

}  // namespace bridgehead::scheduler
