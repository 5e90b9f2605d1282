// State: where every guest is in the plan being made, and all sums over it. A move costs some 100 ns; looking at one
// less. Never more than one thread.
#pragma once

#include "scheduler/plan.h"
#include "scheduler/rule_state.h"
#include "scheduler/unevenness.h"

namespace bridgehead::scheduler {

using Places = std::vector<HostIndex>;  // by guest

class State {
 public:
  explicit State(const Problem& problem);

  // Everything anew from these places, so that the same places give the same figures to the last bit.
  void assign(const Places& places);
  void refresh() { assign(Places(places_)); }
  void move(GuestIndex guest, HostIndex to);  // from and to may be kNowhere

  const Problem& problem() const { return problem_; }
  const Places& places() const { return places_; }
  HostIndex host_of(GuestIndex guest) const { return places_[guest]; }
  const std::vector<GuestIndex>& guests_on(HostIndex host) const { return guests_on_[host]; }
  const Amounts& load(HostIndex host) const { return load_[host]; }
  const Unevenness& unevenness() const { return unevenness_; }
  const RuleState& rules() const { return rules_; }

  // Hosts that are on in the plan: those that are now, with those woken, without those sent to sleep.
  bool takes(HostIndex host) const { return takes_[host] != 0; }
  bool in_use(HostIndex host) const { return !guests_on_[host].empty(); }
  // The unevenness follows at the next refresh().
  void set_woken(HostIndex host, bool woken);
  void set_asleep(HostIndex host, bool asleep);
  bool asleep(HostIndex host) const { return slept_[host] != 0; }
  bool woken(HostIndex host) const { return woken_[host] != 0; }
  bool on(HostIndex host) const { return (problem_.runs[host] || woken_[host]) && !slept_[host]; }

  // There is room, and all that isn't a rule between guests allows it.
  bool fits(GuestIndex guest, HostIndex host) const;
  bool has_room(GuestIndex guest, HostIndex host) const;
  bool has_room_after(HostIndex host, GuestIndex goes, GuestIndex comes) const;
  RuleCost rule_change(GuestIndex guest, HostIndex to) const;
  // A hard rule between guests forbids it, looking also at what moves under way still hold.
  bool blocked_by_move(GuestIndex guest, HostIndex to) const;
  // May go there without a new violation.
  bool may_move(GuestIndex guest, HostIndex to, double most_soft = 1e-9) const;

  double unevenness_after(GuestIndex guest, HostIndex to) const;
  double unevenness_after_swap(GuestIndex a, GuestIndex b) const;
  RuleCost rule_change_of_swap(GuestIndex a, GuestIndex b) const;
  // Price of all moves from home to here.
  double price() const { return price_; }
  std::size_t displaced() const { return displaced_; }
  bool at_home(GuestIndex guest) const { return places_[guest] == problem_.home[guest]; }

  double overload(HostIndex host) const;
  // Where guests are gathered: by how much the host is fuller than halfway from the ceiling to its limit.
  double crowding(HostIndex host) const;
  std::vector<std::uint8_t> counted() const;  // hosts of which the unevenness is
  Score score() const;

 private:
  bool held_apart(GuestIndex guest, HostIndex to) const;
  bool held_exclusively(GuestIndex guest, HostIndex to) const;
  void put(GuestIndex guest, HostIndex host);
  void take(GuestIndex guest, HostIndex host);
  double misplaced() const;

  const Problem& problem_;
  Places places_;
  std::vector<Amounts> load_;
  std::vector<std::vector<GuestIndex>> guests_on_;
  std::vector<std::uint32_t> slot_;  // of a guest in its host's list
  std::vector<std::uint8_t> takes_;
  std::vector<std::uint8_t> woken_;
  std::vector<std::uint8_t> slept_;
  std::vector<std::vector<HostIndex>> held_;  // by rule: hosts that moves under way still hold for guests of it
  std::vector<std::pair<HostIndex, GuestIndex>> leaving_;  // moves under way: from where
  mutable RuleState rules_;                                // changed and changed back to look at an exchange
  Unevenness unevenness_;
  double price_ = 0;
  std::size_t displaced_ = 0;
};

bool better(const Score& a, const Score& b);  // strictly, beyond rounding

}  // namespace bridgehead::scheduler
