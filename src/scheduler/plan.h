// Plan: what should be done now, why, what it wins and costs, how far from the best possible. plan() is pure: no I/O,
// no clock, no memory; the same input gives the same plan on every machine.
//
// Contract:
// - The plan from the state that a plan leads to is empty, with any seed (fixed point), unless Policy::most_moves cut
// it
//   short; moves under way count at both ends.
// - Each plan lowers `Score` strictly, compared from left to right, with the moves' price counted in; or is empty.
// - Actions can be carried out in their order, several at once where `after` allows it, and no host is beyond its
// limits
//   or a hard rule newly violated at any moment between; only guests that must be together are apart while they move.
// - A rule or limit that can't be kept is told in `conflicts` with the smallest set that contradicts; all else is
// planned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/cluster.h"
#include "scheduler/policy.h"

namespace bridgehead::scheduler {

using ActionKind = model::PlanActionKind;
using Purpose = model::PlanPurpose;
using Score = model::PlanScore;

struct Action {
  ActionKind kind = ActionKind::move;
  Purpose purpose = Purpose::balance;
  GuestIndex guest = kNowhere;       // of place and move
  HostIndex from = kNowhere;         // of move; a guest that takes a way over a third host has two moves
  HostIndex to = kNowhere;           // of place and move; the host of wake and sleep
  std::vector<std::uint32_t> after;  // indices of actions that must be over first
  double gain = 0;                   // of the objective, if this action alone were left out
  Seconds duration{0};               // of a move: memory_to_copy over the link's share; of a wake: the host's
  std::string reason;                // one line for people, with names and figures
};

struct Conflict {
  std::vector<std::uint32_t> rules;  // indices into Cluster::rules; together they can't hold
  std::vector<GuestIndex> guests;    // whom it concerns
  std::vector<HostIndex> hosts;
  std::string reason;  // for people
};

struct Plan {
  std::vector<Action> actions;
  std::vector<Conflict> conflicts;
  Score before;
  Score after;
  double bound = 0;  // no plan can bring what the purpose lowers (unevenness, hosts_on) below this
  double gap = 0;    // (reached - bound) / bound, or the difference itself where bound is 0
  double price = 0;  // of its moves; counted in after.unevenness
  double watts_before = 0;
  double watts_after = 0;
  std::uint64_t evaluated = 0;  // changes looked at
  std::uint64_t seed = 0;       // with the same cluster, policy and time it gives this plan again
};

Plan plan(const Cluster& cluster, const Policy& policy, Timestamp now, std::uint64_t seed);

}  // namespace bridgehead::scheduler
