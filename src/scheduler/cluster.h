// Cluster: what the planner looks at, as a value. Hosts, guests, rules and moves under way refer to each other by their
// index in these vectors, so that 10,000 hosts with 100,000 guests are planned in seconds. Who makes it (reconcile, the
// simulator, a trace) puts hosts and guests in the order of their ids, so that the same cluster is the same value.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/planning.h"

namespace bridgehead::scheduler {

using Seconds = std::chrono::duration<double>;

// Of what hosts have only so much, and how it is counted.
enum class Resource : std::uint8_t {
  vcpus,         // virtual CPUs promised to guests; a host's limit is its CPUs times the overcommit
  memory,        // bytes promised to guests; a host's limit leaves its own share out, times the overcommit
  cpu_used,      // CPUs that guests are expected to use, by measurement and forecast
  memory_used,   // bytes that guests are expected to touch; below `memory` only where memory is overcommitted
  storage_used,  // bytes per second to and from shared pools
  network_used,  // bytes per second of guests' own traffic
};
inline constexpr std::size_t kResources = 6;
using Amounts = std::array<double, kResources>;  // by Resource

using HostIndex = std::uint32_t;
using GuestIndex = std::uint32_t;
inline constexpr std::uint32_t kNowhere = 0xffffffff;

enum class HostPower : std::uint8_t { on, asleep, off, waking, going_down };

struct PowerModel {
  double idle_watts = 100;       // on, without load
  double busy_watts = 300;       // on, all CPUs in use; linear between
  double asleep_watts = 5;       // asleep or off: what the BMC takes
  Seconds wake{120};             // from asleep or off to ready, as measured for this host
  Seconds least_time_on{900};    // isn't sent to sleep earlier after its last wake; less wear
  bool can_be_switched = false;  // a power control or Wake-on-LAN is known, and sleeping was tried

  double watts_on(double busy) const { return idle_watts + (busy_watts - idle_watts) * busy; }  // `busy`: 0 .. 1
};

struct Host {
  std::string id;
  std::string name;
  // What guests may take of it, overcommit and the host's own share counted in. 0: of vcpus and memory none, of what is
  // used (`*_used`) no limit is known and it doesn't count.
  Amounts limits{};
  bool ready = true;                    // its agent is well; false = guests on it are counted, none goes there
  bool open = true;                     // takes new guests (bh node cordon)
  bool evacuate = false;                // is to be emptied (bh node drain)
  std::string why_not;                  // why it isn't ready or open, for people
  std::uint32_t cell_cpus = 0;          // of its largest NUMA cell; 0 = one cell only
  double cell_memory = 0;               // bytes
  std::vector<std::uint32_t> pools;     // indices into Cluster::pools that are ready there; sorted
  std::vector<std::uint32_t> networks;  // indices into Cluster::networks that are there; sorted
  std::uint32_t cpu_features = 0;       // index into Cluster::cpu_features
  std::string rack;                     // failure domains; "" = its own
  std::string power_feed;
  HostPower power = HostPower::on;
  Timestamp power_since{};  // when it last became `power`
  PowerModel power_model;
};

struct Guest {
  std::string id;
  std::string name;
  HostIndex host = kNowhere;              // where it runs; kNowhere = to be placed
  Amounts demand{};                       // of its host, from now to the horizon of Policy
  std::int32_t priority = 0;              // higher = placed first, evacuated first, moved last for balance
  bool may_move = true;                   // live migration is possible and its owner consents
  std::string why_not;                    // why it may not move, for people
  std::uint32_t moves_of_a_day = 0;       // that it made within the last; see kMostMovesInADay
  double memory_to_copy = 0;              // bytes that a live migration writes over the link, dirtying counted in
  Seconds downtime{0};                    // expected pause of a move
  double move_cost = 1;                   // what its owner says a move costs, in units of an idle guest's move
  std::uint32_t numa_cpus = 0;            // > 0: would like one NUMA cell with so many CPUs
  std::vector<std::uint32_t> pools;       // that it needs; sorted
  std::vector<std::uint32_t> networks;    // that it needs; sorted
  std::uint32_t cpu_features = kNowhere;  // runs only where these are a subset; kNowhere = anywhere
  std::vector<GuestIndex> starts_after;   // guests that should be back before it (evacuation, restart)
};

using model::RuleKind;
using Domain = model::FailureDomain;

struct Rule {
  std::string name;
  RuleKind kind = RuleKind::apart;
  Domain domain = Domain::host;  // of together and apart
  bool hard = true;              // false: its violation costs `weight`
  double weight = 1;             // in units of an idle guest's move
  std::vector<GuestIndex> guests;
  std::vector<HostIndex> hosts;  // of on_hosts and off_hosts
};

// A move that has begun: the guest counts at both ends until it is over, and isn't planned again.
struct MoveUnderWay {
  GuestIndex guest = 0;
  HostIndex to = 0;
};

struct Cluster {
  std::vector<Host> hosts;
  std::vector<Guest> guests;
  std::vector<Rule> rules;
  std::vector<MoveUnderWay> moves;
  std::vector<std::string> pools;                      // names
  std::vector<std::string> networks;                   // names
  std::vector<std::vector<std::string>> cpu_features;  // sets that occur; each sorted
  // Guests' whole demand of each resource ahead, for consolidation: sample i is the peak of the i-th interval from now.
  Seconds forecast_step{900};
  std::vector<Amounts> forecast;  // empty = as it is now
};

}  // namespace bridgehead::scheduler
