// The fencing tokens of a guest's leases, and the rule by which a node judges the stamp that it finds beside the
// guest's disks: compare and swap. Values and pure functions.
//
// A lease (guest, node, token) gives a node the right to run a guest. Its token is stamped beside the disks before each
// start and before the guest comes in by migration. A new lease's stamp replaces only one of which the manager knows
// that it is over: one of a manager whose records were lost (a backup was restored) is refused, however high the new
// token is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "model/ids.h"

namespace bridgehead::model {

// Whose lease it is, or was.
struct LeaseHolder {
  NodeId node;
  std::uint64_t token = 0;  // 0 = none
  auto operator<=>(const LeaseHolder&) const = default;
};

// Whether a lease ends by time: what its node does with the guest when it can't renew it.
enum class LeaseTerms {
  keep,  // it runs on; only proof ends the lease
  stop,  // it is stopped in time
};

// By what a lease was seen to be over.
enum class LeaseEnd {
  proof,  // it was given back, its node was off, or a person says so
  time,   // its time has passed, by the terms that the manager knows
};

// What the manager knows of a guest's earlier leases.
struct PastLeases {
  // The newest one that is over and was stamped for certain. Its stamp replaced one that was over, so all older ones
  // are over, too.
  std::uint64_t over = 0;
  std::vector<LeaseHolder> ended;  // newer ones that are over, but may never have been stamped: they prove nothing else
  bool by_time = false;            // `over` is so by LeaseEnd::time only. By records of before it isn't said
  bool operator==(const PastLeases&) const = default;
};

// Notes that a lease is over. `stamped`: for certain.
inline void end_lease(PastLeases& past, const LeaseHolder& lease, bool stamped, LeaseEnd by = LeaseEnd::proof) {
  if (lease.token == past.over && by == LeaseEnd::proof) past.by_time = false;
  if (lease.token <= past.over) return;
  // Time ends only a lease under which its agent was heard to run the guest.
  if (stamped || by == LeaseEnd::time) {
    past.over = lease.token;
    past.by_time = by == LeaseEnd::time;
  } else if (std::find(past.ended.begin(), past.ended.end(), lease) == past.ended.end()) {
    past.ended.push_back(lease);
  }
  std::erase_if(past.ended, [&](const LeaseHolder& one) { return one.token <= past.over; });
}

inline bool is_over(const PastLeases& past, const LeaseHolder& lease) {
  return lease.token <= past.over || std::find(past.ended.begin(), past.ended.end(), lease) != past.ended.end();
}

// What stands beside a guest's disks.
struct LeaseStamp {
  VmId vm;
  NodeId node;
  std::uint64_t token = 0;
  std::optional<LeaseHolder> source;  // may still run the guest, if it hasn't come in at `node`
  // By which its node holds it: one that says `stop` is a node's that stops the guest in time. None: a stamp of before.
  std::optional<LeaseTerms> terms = {};
  std::optional<LeaseTerms> source_terms = {};  // what the source's stamp said when this one replaced it
  LeaseHolder holder() const { return {node, token}; }
  bool operator==(const LeaseStamp&) const = default;
};

// Whether nobody can run the guest under this stamp. A manager with records of before the terms were lowered to `keep`
// believes that the lease ends by time: the stamp knows better.
inline bool is_over(const PastLeases& past, const LeaseStamp& stamp) {
  const auto kept = [&](const LeaseHolder& lease, std::optional<LeaseTerms> terms) {
    return past.by_time && lease.token == past.over && terms == LeaseTerms::keep;
  };
  return is_over(past, stamp.holder()) && !kept(stamp.holder(), stamp.terms) &&
         !(stamp.source && kept(*stamp.source, stamp.source_terms));
}

// A lease that is to be stamped.
struct LeaseClaim {
  VmId vm;
  NodeId node;
  std::uint64_t token = 0;
  std::optional<PastLeases> past;        // none: a manager of before, by which each older token is over
  std::optional<LeaseHolder> source;     // from where the guest comes in
  std::optional<LeaseTerms> terms = {};  // what the stamp is to say
  LeaseHolder holder() const { return {node, token}; }
  // `found`: what it replaces.
  LeaseStamp stamp(const std::optional<LeaseStamp>& found) const {
    const bool comes_from_it = found && source == found->holder();
    return {.vm = vm,
            .node = node,
            .token = token,
            .source = source,
            .terms = terms,
            .source_terms = comes_from_it ? found->terms : std::nullopt};
  }
};

enum class StampVerdict {
  write,   // nothing is stamped, or what is over
  good,    // it is stamped already
  refuse,  // somebody else may run the guest
};

// A token only grows. The source counts by node and token: after a restored backup another node may have stamped the
// same number. A node's own stamp is nobody else's, by whatever terms it says.
inline StampVerdict judge_stamp(const std::optional<LeaseStamp>& found, const LeaseClaim& claim) {
  if (!found) return StampVerdict::write;
  if (found->holder() == claim.holder()) return StampVerdict::good;
  if (found->token >= claim.token) return StampVerdict::refuse;
  const bool over = !claim.past || is_over(*claim.past, *found) || found->holder() == claim.source ||
                    (found->node == claim.node && is_over(*claim.past, found->holder()));
  return over ? StampVerdict::write : StampVerdict::refuse;
}

}  // namespace bridgehead::model
