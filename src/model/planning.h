// What the cluster's owner wants of the planner (policy, rules), and the plans that were made.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/ids.h"

namespace bridgehead::model {

// Of each kind of change: not planned, planned and shown, or done without asking.
enum class PlanMode : std::uint8_t { off, propose, automatic };

// What balance lowers. Both count each resource with its weight.
enum class Evenness : std::uint8_t {
  deviation,  // sum over resources of the standard deviation of hosts' use (part of each host's limit)
  peak,       // sum over resources of the fullest host's use (and a fiftieth of the deviation)
};

enum class RuleKind : std::uint8_t {
  together,   // guests on one host (or in one rack, on one power feed)
  apart,      // no two guests on one host (...)
  on_hosts,   // guests only on these hosts (one host = pinned)
  off_hosts,  // guests never on these hosts
  exclusive,  // a host with one of these guests has no others than these
};
enum class FailureDomain : std::uint8_t { host, rack, power_feed };

// Its guests are those named and those that carry all of the labels; at least one of both is given.
struct Rule {
  RuleId id;
  std::string name;
  RuleKind kind = RuleKind::apart;
  FailureDomain domain = FailureDomain::host;  // of together and apart
  bool hard = true;                            // false: its violation costs `weight`
  double weight = 1;                           // in units of an idle guest's move
  std::vector<VmId> vms;
  std::map<std::string, std::string> labels;
  std::vector<NodeId> nodes;  // of on_hosts and off_hosts
  Timestamp created{};

  bool operator==(const Rule&) const = default;
};

// There is one at most; none = these defaults.
struct PlanningPolicy {
  PolicyId id;
  PlanMode repair = PlanMode::automatic;  // rules and limits that are violated, nodes to be emptied
  PlanMode balance = PlanMode::propose;
  PlanMode consolidate = PlanMode::off;  // gather guests on fewer nodes, before all balance
  PlanMode power = PlanMode::off;        // switch empty nodes off, and on in time
  bool power_at_night_only = false;
  std::uint32_t night_from = 22;  // hour of the day, UTC
  std::uint32_t night_to = 6;
  Evenness evenness = Evenness::deviation;
  double ceiling = 0.85;                  // part of a node up to which guests are gathered there
  double move_price = 0.0005;             // what a move must win of the objective at least
  std::uint32_t most_moves = 0xffffffff;  // of one plan
  std::uint32_t failures = 1;             // so many nodes may fail, and all guests still have room
  std::uint32_t moves_per_node = 2;       // at once, in and out together
  std::chrono::seconds horizon{1800};     // demand is meant up to then
  std::chrono::seconds interval{60};      // between two looks of the automatic planner
  std::chrono::seconds sustained{600};    // a load must last so long before balance or consolidation acts on it
  bool restart_against_rules = false;     // of a dead node's guests: one that fits nowhere else breaks its hard rules

  bool operator==(const PlanningPolicy&) const = default;
};

enum class PlanActionKind : std::uint8_t { place, move, wake, sleep };
enum class PlanPurpose : std::uint8_t { repair, evacuate, place, balance, consolidate, power };
enum class PlanActionState : std::uint8_t { waiting, running, done, failed, dropped };

struct PlanAction {
  PlanActionKind kind = PlanActionKind::move;
  PlanPurpose purpose = PlanPurpose::balance;
  VmId vm;  // of place and move
  std::string vm_name;
  NodeId from;  // of move
  std::string from_name;
  NodeId to;  // of place and move; the node of wake and sleep
  std::string to_name;
  std::vector<std::uint32_t> after;  // indices of actions that must be over first
  double gain = 0;                   // of the objective, if this action alone were left out
  double seconds = 0;                // how long it is expected to take
  std::string reason;                // one line for people
  PlanActionState state = PlanActionState::waiting;
  OperationId operation;  // that carries it out
  std::string message;    // why it failed or was dropped

  bool operator==(const PlanAction&) const = default;
};

// Compared from the first to the last; less is better.
struct PlanScore {
  double unplaced = 0;    // guests without a host
  double violations = 0;  // hard rules and limits, by how much, and guests on hosts that are to be emptied
  double soft = 0;        // violated soft rules by weight, missing headroom
  double hosts_on = 0;    // counted only where the policy consolidates
  double unevenness = 0;  // by Evenness, with the price of the plan's moves

  bool operator==(const PlanScore&) const = default;
};

// What can't hold together.
struct PlanConflict {
  std::vector<std::string> rules;  // names
  std::vector<std::string> vms;
  std::vector<std::string> nodes;
  std::string reason;

  bool operator==(const PlanConflict&) const = default;
};

// applied: all actions are done. superseded: the world changed under it, what was left was dropped.
enum class PlanState : std::uint8_t { proposed, applying, applied, cancelled, superseded, failed };

struct Plan {
  PlanId id;
  std::string name;  // the first digits of its id
  PlanState state = PlanState::proposed;
  std::string message;  // why it ended before it was done
  std::string created_by;
  Timestamp created{};
  Timestamp started{};
  Timestamp finished{};
  std::vector<PlanAction> actions;
  std::vector<PlanConflict> conflicts;
  PlanScore before;
  PlanScore after;
  double bound = 0;  // no plan can bring what is lowered below this
  double gap = 0;    // how far `after` is from it
  double watts_before = 0;
  double watts_after = 0;
  std::uint64_t evaluated = 0;  // changes looked at
  std::uint64_t seed = 0;
  std::uint32_t moves_per_node = 2;  // at once, of the policy that it was made by

  bool operator==(const Plan&) const = default;
};

// What a plan was made from (JSON: cluster, policy, time, seed), so that it can be made again.
struct PlanInput {
  PlanId id;
  Timestamp created{};
  std::string text;

  bool operator==(const PlanInput&) const = default;
};

}  // namespace bridgehead::model
