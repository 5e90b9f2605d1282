// A guest's lease: the words that manager and agent say about it, and the rule at the disk. Plain values; pure
// functions.
//
// A lease is named by guest, node and token; a token is never given twice for a guest. Who holds one may run the guest.
// It is over when its agent gave it back, when its node was verified off, or (Terms::stop) when its time has passed
// beyond doubt. A lease for another node is granted only when all others are over.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/lease.h"

namespace bridgehead::availability {

using Token = std::uint64_t;  // 0 = none

// What an agent does with a running guest whose lease it can't renew.
enum class Terms {
  own,   // its disks are on this node alone: nobody else could run it. It runs on, and starts without asking
  keep,  // it runs on: nobody else gets the lease before this node was verified off
  stop,  // it is stopped before the lease ends, or the host's watchdog resets the host: so time ends the lease, too
};

enum class GrantKind {
  run,
  incoming,  // may come in from the node that runs it, but not be started
};

using Holder = model::LeaseHolder;
using StampVerdict = model::StampVerdict;

struct Grant {
  model::VmId vm;
  Token token = 0;
  Token after = 0;  // a stamp above this one belongs to somebody who may run the guest, for all that the manager knows
  bool after_by_time = false;  // that one is over because its time has passed: unless its stamp says that it is kept
  Terms terms = Terms::keep;
  GrantKind kind = GrantKind::run;
  std::optional<Holder> source;  // from where it may come in, or came
  bool may_start = false;        // now, within this answer's time
  bool operator==(const Grant&) const = default;
};

struct GrantName {
  model::VmId vm;
  Token token = 0;
  auto operator<=>(const GrantName&) const = default;
};

// What is written beside a guest's disks.
struct Stamp {
  Holder holder;
  std::optional<Holder> source;  // may still run the guest, if it hasn't come to the holder
  std::optional<model::LeaseTerms> terms = {};
  std::optional<model::LeaseTerms> source_terms = {};
  bool operator==(const Stamp&) const = default;
};

// The stamp of this lease is to say this of its terms.
struct Restamp {
  model::VmId vm;
  Token token = 0;
  model::LeaseTerms terms = model::LeaseTerms::keep;
  bool operator==(const Restamp&) const = default;
};

struct Release {
  GrantName name;
  bool stamped = false;  // as far as the agent knows
  bool operator==(const Release&) const = default;
};

// An agent found another stamp than it should have.
struct Refusal {
  model::VmId vm;
  Token token = 0;  // its own lease, which it gives back
  Stamp found;
  bool operator==(const Refusal&) const = default;
};

// What an agent holds.
struct Held {
  model::VmId vm;
  Token token = 0;
  Terms terms = Terms::keep;  // `stop` only where its stamp says so, too
  GrantKind kind = GrantKind::run;
  std::optional<Holder> source;
  bool stamped = false;
  bool running = false;  // or being started
  bool operator==(const Held&) const = default;
};

// Agent to manager. All that the agent holds, each time. May be lost, doubled and overtaken.
struct Renewal {
  std::uint64_t instance = 0;  // of the agent's process
  std::uint64_t sequence = 0;
  std::uint64_t heard = 0;            // the newest answer to this process that was taken in; 0 = none
  bool watchdog = false;              // the host has one that was seen to work
  bool storage_well = true;           // the shared pool answers
  std::vector<std::uint64_t> claims;  // against its node, in the pool
  std::vector<Held> held;
  std::vector<Release> released;  // it will never run these guests under these tokens (again)
  std::vector<Refusal> refused;
};

// Manager to agent, to one renewal. What isn't in `grants` isn't renewed.
struct Answer {
  std::uint64_t instance = 0;
  std::uint64_t sequence = 0;
  std::vector<Grant> grants;
  std::vector<GrantName> recalled;  // to be stopped and given back
  std::vector<GrantName> settled;   // the manager knows that these are over; no longer told
};

// The fencing token at the disk (model/lease.h), under the pool's lock, before each start and before a guest comes in.
// `stamped`: this agent has stamped this lease before. A token is used once, so what it hasn't stamped isn't its own.
inline StampVerdict judge_stamp(const std::optional<Stamp>& found, const Grant& grant, const model::NodeId& self,
                                bool stamped) {
  std::optional<model::LeaseStamp> stamp;
  if (found) {
    stamp = {.vm = grant.vm,
             .node = found->holder.node,
             .token = found->holder.token,
             .source = found->source,
             .terms = found->terms,
             .source_terms = found->source_terms};
  }
  const model::PastLeases past{.over = grant.after, .ended = {}, .by_time = grant.after_by_time};
  const auto verdict = model::judge_stamp(
      stamp, {.vm = grant.vm, .node = self, .token = grant.token, .past = past, .source = grant.source});
  if (!found) return verdict;
  if (stamped && verdict == StampVerdict::write) return StampVerdict::refuse;
  if (!stamped && verdict == StampVerdict::good) return StampVerdict::refuse;
  return verdict;
}

}  // namespace bridgehead::availability
