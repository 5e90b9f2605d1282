// LeaseBook: the manager's side of leases: who holds what, what is over, what the next token is. No I/O, no clock: time
// and messages come in. Not thread-safe. A grant that must not be made is failed_precondition with the reason.
//
// BookRecord is persisted before anything that a call returned leaves the manager. The rest is learned anew by each
// process: for a time after its start it only renews what agents hold; until then answers of the process before it are
// worth nothing any more, and agents have said what they hold. So a record that is too old (a restored backup) does no
// harm: tokens and holders that it doesn't know are learned from agents and from the stamps beside the disks.
#pragma once

#include <map>
#include <set>

#include "availability/lease.h"
#include "availability/timing.h"

namespace bridgehead::availability {

struct LeaseEntry {
  model::NodeId node;
  Token token = 0;
  Token after = 0;
  bool after_by_time = false;
  Terms terms = Terms::keep;
  GrantKind kind = GrantKind::run;
  std::optional<Holder> source;
  bool stamped = false;  // for certain
  bool recalled = false;
  bool by_proof_only = false;  // it was taken to be over by time, which it wasn't
  bool operator==(const LeaseEntry&) const = default;
};

struct GuestLeases {
  std::vector<LeaseEntry> outstanding;  // each may be used
  // The newest stamped lease that is over. Its stamp replaced only one that was over, and older ones that weren't
  // stamped by then can't be any more; so all older ones are over but for those that are outstanding.
  Token over = 0;
  model::NodeId by_time;      // whose lease that was, if only its time has passed; empty: it was proven
  std::vector<Holder> ended;  // newer ones that are over, but may not have been stamped: they prove nothing of others
  bool operator==(const GuestLeases&) const = default;
};

struct BookRecord {
  Token next = 1;
  std::map<model::VmId, GuestLeases> guests;
  bool operator==(const BookRecord&) const = default;
};

class LeaseBook {
 public:
  LeaseBook(const Timing& timing, BookRecord record, BootTime now)
      : timing_(timing), record_(std::move(record)), started_(now) {}

  // The right to run a guest. One that the node holds already is returned again. The terms `stop` count as in `adopt`.
  Result<Grant> grant(const model::VmId& vm, const model::NodeId& node, Terms terms, BootTime now);
  // The right to let a guest in from the one node that may run it.
  Result<Grant> grant_incoming(const model::VmId& vm, const model::NodeId& to, Terms terms, BootTime now);
  // The node is to stop the guest and give its lease back.
  void recall(const model::VmId& vm, const model::NodeId& node);
  // As another keeper of leases (the store's own counter) has it: this node holds this lease, which may be stamped, by
  // these terms from now on. `stop` counts from when its agent, having heard that, says that it holds it so; `keep` at
  // once. Ends no other. A lease that is known to be over stays so.
  void adopt(const model::VmId& vm, const Holder& holder, Terms terms);
  // Tokens that are given from now on are at least this.
  void number_from(Token first) { record_.next = std::max(record_.next, first); }

  // Takes in what an agent says. Nothing is answered to a node that is being switched off (`withhold`).
  std::optional<Answer> renew(const model::NodeId& node, const Renewal& renewal, bool withhold, BootTime now);

  // All leases of the node are over: it was off at a time after its last renewal was answered.
  void node_off(const model::NodeId& node);
  // When a node's leases that end by time have ended, if nothing was answered to it since a claim against it was
  // written to the pool.
  BootTime lapses(BootTime claimed) const { return claimed + lapses_after(timing_); }
  // They have. Calling it earlier aborts.
  void node_lapsed(const model::NodeId& node, BootTime claimed, BootTime now);
  // The guest and its disks are gone.
  void forget(const model::VmId& vm);

  bool learning(BootTime now) const { return now < started_ + lapses_after(timing_); }
  bool heard(const model::NodeId& node) const { return seen_.contains(node); }
  const GuestLeases* leases(const model::VmId& vm) const;
  // Guests that may run on the node, by the terms.
  std::vector<std::pair<model::VmId, Terms>> held_by(const model::NodeId& node) const;
  // By the node's newest renewal.
  bool runs(const model::VmId& vm, const model::NodeId& node) const;
  bool has_watchdog(const model::NodeId& node) const;
  const BookRecord& record() const { return record_; }

 private:
  struct Seen {
    std::uint64_t instance = 0;
    std::uint64_t sequence = 0;
    bool watchdog = false;
    std::optional<BootTime> answered;
    std::uint64_t first_answer = 0;  // to this instance by this process; 0 = none yet
    std::map<model::VmId, Held> held;
  };
  struct Lowered {
    std::uint64_t instance = 0;
    std::uint64_t answer = 0;
  };
  Token next_token(const GuestLeases& leases);
  Grant add(GuestLeases& leases, const model::VmId& vm, LeaseEntry entry);
  void learn(const model::NodeId& node, const Renewal& renewal);
  void learn_refusal(const Refusal& refusal);
  void learn_holder(const model::VmId& vm, const LeaseEntry& entry);
  void learn_kept(const model::VmId& vm, const Holder& holder, const std::optional<Holder>& source);
  void learn_terms(const Held& held, const Renewal& renewal, LeaseEntry& entry, const Seen& seen);
  Terms tell_terms(const model::VmId& vm, LeaseEntry& entry, const Seen& seen);
  void resolve(const model::VmId& vm, GuestLeases& leases);
  bool may_start(const model::VmId& vm, const GuestLeases& leases, const LeaseEntry& entry, BootTime now) const;

  Timing timing_;
  BookRecord record_;
  BootTime started_;
  std::map<model::NodeId, Seen> seen_;
  std::set<GrantName> mine_;             // granted by this process
  std::set<model::VmId> newcomers_;      // had no lease before this process gave them one
  std::map<model::VmId, Terms> wanted_;  // of leases that were adopted or granted
  std::map<GrantName, Lowered>
      lowered_;  // the newest answer by which an agent that held it by `stop` shouldn't any more
};

}  // namespace bridgehead::availability
