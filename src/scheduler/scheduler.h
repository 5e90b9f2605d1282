// Scheduler: chooses the node of a new guest. A pure function from a snapshot to a placement with its reasons; no I/O,
// no clock, no state, hence thread-safe. The same input gives the same answer on every machine.
//
// A node fits when it is ready and schedulable, is the pinned node if there is one, holds every golden image that a
// disk is cloned from (local pools), has every pool ready with enough room, has the bridges of the NICs' networks, and
// breaks no hard rule there, has CPU (overcommitted) and memory (never overcommitted) left. Of those that fit, the
// least allocated wins, one that is to be switched off after those, one that is off last; ties go to the lowest id.
// Guests that are stopped take no CPU and no memory: starting one asks `check_fits` again.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/ids.h"
#include "model/node.h"
#include "model/planning.h"

namespace bridgehead::scheduler {

struct Limits {
  double cpu_overcommit = 4.0;        // virtual CPUs per CPU of the node
  Bytes least_reserve = 512_MiB;      // memory kept for the host: this,
  std::uint64_t reserve_percent = 5;  // or this part of it, whichever is more
  Bytes pool_reserve = 256_MiB;       // room that is left in a pool

  bool operator==(const Limits&) const = default;
};

// What the guests placed on a node take.
struct Allocation {
  std::uint64_t cpus = 0;
  Bytes memory;
  std::uint64_t guests = 0;

  bool operator==(const Allocation&) const = default;
};

struct PoolRoom {
  bool ready = false;
  std::string message;
  Bytes total;
  Bytes available;
};

struct NodeSnapshot {
  model::NodeId id;
  std::string name;
  std::string rack;  // failure domains; "" = its own
  std::string power_feed;
  bool to_be_off = false;   // emptied to save power: only when nothing else fits
  bool asleep = false;      // and off, or on its way back: takes part as if it were ready, after all others
  bool just_woken = false;  // its pools may not be mounted yet: they are waited for
  model::NodeState state = model::NodeState::unreachable;
  std::string message;  // why it isn't ready
  bool schedulable = true;
  std::uint32_t cpus = 0;
  Bytes memory;
  Allocation allocated;
  std::map<model::PoolId, PoolRoom> pools;
  std::set<std::string> bridges;  // host bridges that exist there
};

// A hard rule, and where its guests are.
struct RuleSnapshot {
  std::string name;
  model::RuleKind kind = model::RuleKind::apart;
  model::FailureDomain domain = model::FailureDomain::host;
  std::set<model::NodeId> nodes;                  // of on_hosts and off_hosts
  std::map<model::NodeId, std::uint64_t> guests;  // how many of it are there
};

struct ClusterSnapshot {
  std::vector<NodeSnapshot> nodes;
  Limits limits;
  std::vector<RuleSnapshot> rules;
};

struct VmRequest {
  std::uint32_t cpus = 1;
  Bytes memory;
  bool powered_on = true;                           // a guest made stopped takes no CPU and no memory yet
  std::map<model::PoolId, Bytes> disk_room;         // pools that are needed, and the room to be written there at once
  std::map<model::PoolId, std::string> pool_names;  // for messages
  std::optional<model::NodeId> pinned;              // the user's choice
  std::optional<model::NodeId> image_node;          // a local pool's golden image is only there
  std::string image_name;                           // for messages
  std::set<std::string> bridges;                    // that its NICs plug into
  std::set<std::size_t> rules;                      // indices into ClusterSnapshot::rules that it is one of
};

struct Placement {
  model::NodeId node;
  double score = 0;  // 0 = idle node, 1 = full
  std::vector<std::string> reasons;
  bool asleep = false;  // it must be woken, or is still mounting its pools: wait, and place again
};

// Errors: resource_exhausted when no node fits, counting the nodes by reason: "no node fits guest: 1 node needs 8 GiB
// memory, at most 3.2 GiB are free (node1)"; unavailable when the only obstacle is that nodes aren't ready.
Result<Placement> place(const ClusterSnapshot& cluster, const VmRequest& request);

// May one more guest of these rules (indices into cluster.rules) go there? failed_precondition naming the rule.
Status check_rules(const ClusterSnapshot& cluster, const NodeSnapshot& node, const std::set<std::size_t>& rules);

// Where a guest of these rules may not go, and why: "node 'n2' is beside another guest of rule 'spread'".
std::map<model::NodeId, std::string> forbidden_nodes(const ClusterSnapshot& cluster,
                                                     const std::set<std::size_t>& rules);

// May a guest on this node take that much more CPU and memory (start, growth)? resource_exhausted with the figures.
Status check_fits(const NodeSnapshot& node, const Limits& limits, std::uint64_t more_cpus, Bytes more_memory);

// What guests may take of a node.
std::uint64_t usable_cpus(const NodeSnapshot& node, const Limits& limits);
Bytes usable_memory(const NodeSnapshot& node, const Limits& limits);

}  // namespace bridgehead::scheduler
