// PlacementRules: the hard rules that a guest to be placed must keep, prepared for asking many nodes. Internal to the
// scheduler. A value; refers to its cluster.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"

namespace bridgehead::scheduler {

class PlacementRules {
 public:
  // `member`: indices of the rules that the guest is one of.
  PlacementRules(const ClusterSnapshot& cluster, const std::set<std::size_t>& member);

  // Why the guest may not go there; the same for all nodes that a rule keeps it from.
  std::optional<std::string> refuse(const NodeSnapshot& node) const;

 private:
  struct Prepared {
    const RuleSnapshot* rule;
    bool member;
    std::set<std::string> domains;  // of together and apart: where its guests are
  };
  std::vector<Prepared> rules_;
};

}  // namespace bridgehead::scheduler
