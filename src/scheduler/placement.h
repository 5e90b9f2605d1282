// PlacementIndex: chooses hosts for single new guests in a cluster that is compiled once; a placement among 10,000
// hosts takes a fraction of a millisecond, and counts for the next one. The choice is plan()'s own.
#pragma once

#include <memory>
#include <optional>

#include "scheduler/cluster.h"
#include "scheduler/policy.h"

namespace bridgehead::scheduler {

class PlacementIndex {
 public:
  // The guests without a host are those that will be placed. Keeps references to both.
  PlacementIndex(const Cluster& cluster, const Policy& policy, Timestamp now);
  ~PlacementIndex();

  // nullopt = no host fits; plan() says why.
  std::optional<HostIndex> place(GuestIndex guest);

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace bridgehead::scheduler
