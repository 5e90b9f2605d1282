// Problem: a Cluster and a Policy compiled for planning: flat, indexed, with everything looked up once. Never changes
// while a plan is made. Keeps references to both; a value of one thread.
#pragma once

#include <span>

#include "scheduler/cluster.h"
#include "scheduler/policy.h"

namespace bridgehead::scheduler {

// Lists of different lengths, one behind the other.
struct Lists {
  std::vector<std::uint32_t> starts;
  std::vector<std::uint32_t> items;

  std::span<const std::uint32_t> of(std::size_t i) const {
    return {items.data() + starts[i], items.data() + starts[i + 1]};
  }
};

// `count` lists from pairs (list, item), in the order of the pairs.
Lists make_lists(std::size_t count, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& pairs);

struct Problem {
  Problem(const Cluster& cluster, const Policy& policy, Timestamp now);

  const Cluster& cluster;
  const Policy& policy;
  Timestamp now;

  // By host. A resource without a limit has an infinite one, and part 0.
  std::vector<Amounts> limit;  // beyond it a host is overloaded
  std::vector<Amounts> room;   // up to which guests are put there: the ceiling, less what moves under way still hold
  std::vector<Amounts> part;   // 1 / limit
  std::vector<std::uint8_t> takes;  // ready, on, open and not to be emptied: guests may be put there
  std::vector<std::uint8_t> runs;   // on and ready
  std::vector<std::uint8_t> can_wake;
  std::vector<std::uint32_t> domain[3];  // by Domain and host

  // By guest.
  std::vector<Amounts> demand;
  std::vector<HostIndex> home;           // where it is (or is under way to)
  std::vector<HostIndex> left;           // what a move under way still holds, or kNowhere
  std::vector<std::uint8_t> movable;     // may move, not on a host that doesn't run, not under way; placed or not
  std::vector<std::uint8_t> at_leisure;  // movable, and not to rest: may be moved for what can wait
  std::vector<double> price;             // of its move, in units of the objective
  std::vector<double> cost;              // of its move, in units of an idle guest's
  Lists rules_of;                        // together, apart, exclusive, and soft on_hosts, off_hosts

  Amounts demanded{};  // by all guests

  std::vector<std::size_t> resources;  // that are limited and asked for: what evenness looks at
  bool consolidates = false;
  bool switches = false;       // power
  bool any_exclusive = false;  // rules

  std::size_t hosts() const { return limit.size(); }
  std::size_t guests() const { return demand.size(); }
  // Pools, networks, CPU features and hard on_hosts and off_hosts rules.
  bool compatible(GuestIndex guest, HostIndex host) const {
    return compatible_[guest_class_[guest] * host_classes_ + host_class_[host]] &&
           (place_rules_.of(guest).empty() || allowed_by_rules(guest, host));
  }
  bool equipped(GuestIndex guest, HostIndex host) const {  // pools, networks, CPU features only
    return compatible_[guest_class_[guest] * host_classes_ + host_class_[host]];
  }
  // A rule of kind on_hosts or off_hosts.
  bool allows(std::uint32_t rule, HostIndex host) const {
    return rule_hosts_[rule][host] == (cluster.rules[rule].kind == RuleKind::on_hosts);
  }
  std::span<const std::uint32_t> place_rules(GuestIndex guest) const { return place_rules_.of(guest); }

 private:
  void compile_hosts();
  void compile_guests();
  void compile_rules();
  void compile_classes();
  bool allowed_by_rules(GuestIndex guest, HostIndex host) const;

  Lists place_rules_;  // hard on_hosts and off_hosts by guest
  std::vector<std::vector<bool>> rule_hosts_;
  std::vector<std::uint32_t> guest_class_;
  std::vector<std::uint32_t> host_class_;
  std::vector<std::uint8_t> compatible_;  // guest class by host class
  std::size_t host_classes_ = 0;
};

inline std::size_t index(Resource resource) { return static_cast<std::size_t>(resource); }
// Promised, hence a limit that is never passed; else used, where the ceiling counts.
inline bool is_promised(std::size_t resource) { return resource <= index(Resource::memory); }

}  // namespace bridgehead::scheduler
