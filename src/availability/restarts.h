// Where guests go whose node is dead. A pure function; thread-safe.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/ids.h"

namespace bridgehead::availability {

struct Restart {
  model::VmId vm;
  std::int32_t priority = 0;  // higher first
  std::uint32_t cpus = 1;
  Bytes memory;
  std::set<model::PoolId> pools;  // of its disks
  model::NodeId not_on;           // where it was
};

struct Room {
  model::NodeId node;
  double cpus = 0;  // virtual ones that are left, after overcommitting
  Bytes memory;     // that is left
  std::set<model::PoolId> pools;
  unsigned starts = 0;  // that may begin there now
};

// Hard rules about where guests are, as the caller knows them. Without functions there are none.
struct RestartRules {
  // Nodes that the guest may not go to, and why; those that were `placed` count.
  std::function<std::map<model::NodeId, std::string>(const model::VmId&)> forbidden;
  std::function<void(const model::VmId&, const model::NodeId&)> placed;
  bool may_break = false;  // rather than leave a guest off
};

struct RestartPlan {
  struct Placement {
    model::VmId vm;
    model::NodeId node;
    std::string breaks;  // a rule, and how; "" = none
  };
  struct Waiting {
    model::VmId vm;
    std::string why;
    bool room = false;  // there would be room, once others have started
  };
  std::vector<Placement> placements;  // in the order in which they are to start
  std::vector<Waiting> waiting;
};

// By priority, then the larger ones, then by id; each to the node with the most memory left of those that keep the
// rules. One that fits nowhere doesn't hold up smaller ones.
RestartPlan plan_restarts(std::vector<Restart> guests, std::vector<Room> rooms, const RestartRules& rules = {});

}  // namespace bridgehead::availability
