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

// What the manager knows of a guest's earlier leases.
struct PastLeases {
  // The newest one that is over and was stamped for certain. Its stamp replaced one that was over, so all older ones
  // are over, too.
  std::uint64_t over = 0;
  std::vector<LeaseHolder> ended;  // newer ones that are over, but may never have been stamped: they prove nothing else
  bool operator==(const PastLeases&) const = default;
};

// Notes that a lease is over. `stamped`: for certain.
inline void end_lease(PastLeases& past, const LeaseHolder& lease, bool stamped) {
  if (lease.token <= past.over) return;
  if (stamped) {
    past.over = lease.token;
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
  LeaseHolder holder() const { return {node, token}; }
  bool operator==(const LeaseStamp&) const = default;
};

// A lease that is to be stamped.
struct LeaseClaim {
  VmId vm;
  NodeId node;
  std::uint64_t token = 0;
  std::optional<PastLeases> past;     // none: a manager of before, by which each older token is over
  std::optional<LeaseHolder> source;  // from where the guest comes in
  LeaseHolder holder() const { return {node, token}; }
};

enum class StampVerdict {
  write,   // nothing is stamped, or what is over
  good,    // it is stamped already
  refuse,  // somebody else may run the guest
};

// A token only grows. The source counts by node and token: after a restored backup another node may have stamped the
// same number.
inline StampVerdict judge_stamp(const std::optional<LeaseHolder>& found, const LeaseClaim& claim) {
  if (!found) return StampVerdict::write;
  if (*found == claim.holder()) return StampVerdict::good;
  if (found->token >= claim.token) return StampVerdict::refuse;
  const bool over = !claim.past || is_over(*claim.past, *found) || found == claim.source;
  return over ? StampVerdict::write : StampVerdict::refuse;
}

}  // namespace bridgehead::model
