// Watch: the invariants, checked at each order, each start of a guest and each step. It sees the truth (World) and what
// the manager believes (Control), and says what is wrong; it changes nothing.
//
//   one_writer    a guest runs on one host at most
//   lease         tokens of a guest's leases only grow
//   capacity      what guests on a host and on their way to it were promised is within its limits
//   rules         no order newly violates a hard rule; no plan parts what is to be together
//   moves         no host has more moves under way than the policy allows
//   power         nothing is ordered from a host that isn't on and heard; none with guests is told to sleep
//   nothing_lost  each guest that should be there is in the snapshot once, and runs or is accounted for
#pragma once

#include <string>
#include <vector>

#include "simulation/control.h"
#include "simulation/world.h"

namespace bridgehead::simulation {

struct Violation {
  double at = 0;
  std::string invariant;
  std::string what;
};

class Watch {
 public:
  Watch(const Scenario& scenario, World& world, Control& control, const Agenda& agenda);

  void step();
  const std::vector<Violation>& violations() const { return violations_; }
  std::uint64_t checks() const { return checks_; }

 private:
  struct RuleMembers {
    const RuleWishes* wish = nullptr;
    std::vector<GuestId> guests;
    std::vector<HostId> hosts;
  };

  void on_order(const Order& order);
  void on_run(GuestId guest, HostId host);
  void on_snapshot(const scheduler::Cluster& cluster);
  void on_plan(const scheduler::Cluster& cluster, const scheduler::Plan& plan);
  void check_capacity(const Order& order);
  void check_rules(const Order& order);
  void check_rule(const RuleMembers& rule, const Order& order);
  std::vector<HostId> places_of(GuestId guest) const;
  bool same_domain(const RuleWishes& wish, HostId a, HostId b) const;
  void wrong(std::string invariant, std::string what);

  World& world_;
  Control& control_;
  const Agenda& agenda_;
  const std::uint32_t most_moves_;
  std::vector<RuleMembers> rules_;
  std::vector<std::vector<std::uint32_t>> rules_of_;  // by guest
  std::vector<std::uint32_t> exclusive_;              // rules
  std::vector<Violation> violations_;
  std::uint64_t checks_ = 0;
};

}  // namespace bridgehead::simulation
