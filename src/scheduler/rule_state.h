// RuleState: how far the rules between guests hold, kept up with each move. Hard and soft are told apart; what a rule
// counts is the number of guests that would have to go elsewhere:
//   together   guests of the rule outside the domain that most of them are in
//   apart      guests of the rule beyond one in a domain
//   exclusive  guests that aren't of the rule, on hosts that have guests of it
//   on_hosts, off_hosts (soft ones only; the hard ones are part of Problem::compatible)  guests in the wrong place
// A guest that would like one NUMA cell and is on a host whose cells are too small counts as a soft rule of weight 1.
#pragma once

#include "scheduler/problem.h"

namespace bridgehead::scheduler {

struct RuleCost {
  double hard = 0;
  double soft = 0;
  bool breaks = false;  // a hard rule gets worse, whatever others get

  RuleCost& operator+=(const RuleCost& other) {
    hard += other.hard;
    soft += other.soft;
    breaks = breaks || other.breaks;
    return *this;
  }
};

class RuleState {
 public:
  explicit RuleState(const Problem& problem);

  void clear();
  void add(GuestIndex guest, HostIndex host);
  void remove(GuestIndex guest, HostIndex host);
  // What its move changes. Either may be kNowhere. Rules marked in `left_out` don't count.
  RuleCost change(GuestIndex guest, HostIndex from, HostIndex to,
                  const std::vector<std::uint8_t>* left_out = nullptr) const;
  RuleCost total() const;
  double violation(std::uint32_t rule) const;
  bool concerns(GuestIndex guest) const {
    return problem_.any_exclusive || !problem_.rules_of.of(guest).empty() ||
           problem_.cluster.guests[guest].numa_cpus > 0;
  }
  // Guests of the rule in the domain, by RuleKind::together, apart, exclusive.
  std::uint32_t members(std::uint32_t rule, std::uint32_t domain) const;

 private:
  struct Count {
    std::uint32_t domain;
    std::uint32_t guests;
  };
  struct Counts {
    std::vector<Count> in;  // by domain, sorted; none is zero
    std::uint32_t placed = 0;
  };
  std::uint32_t domain_of(std::uint32_t rule, HostIndex host) const;
  double change_of(std::uint32_t rule, HostIndex from, HostIndex to) const;
  void exclusive_change(GuestIndex guest, HostIndex from, HostIndex to, const std::vector<std::uint8_t>* left_out,
                        RuleCost& cost) const;
  double numa(GuestIndex guest, HostIndex host) const;
  void count(GuestIndex guest, HostIndex host, int by);
  bool is_member(GuestIndex guest, std::uint32_t rule) const;

  const Problem& problem_;
  std::vector<Counts> counts_;                            // by rule
  std::vector<std::uint32_t> guests_on_;                  // by host
  std::vector<std::vector<std::uint32_t>> exclusive_on_;  // by host: exclusive rules with a guest there
  double soft_places_ = 0;
};

}  // namespace bridgehead::scheduler
