// LeaseKeeper: the agent's side of leases. It says when a guest may be stamped, started and let in, when it must be
// stopped, when the watchdog may be fed, and what to tell the manager. No I/O, no clock: time and what happened come
// in. Not thread-safe. Calls never fail but for what they say; stamping a guest without a lease aborts.
//
// After each call that changes something: what `take_changes` names is persisted before anything leaves this node or a
// guest is started. KeeperRecord outlives the node where it has a disk; BootRecord outlives the agent, not the boot.
#pragma once

#include <map>
#include <set>

#include "availability/lease.h"
#include "availability/timing.h"

namespace bridgehead::availability {

struct KeeperRecord {
  struct Entry {
    Grant grant;
    bool stamped = false;
    // What its stamps say of its terms, for certain; none: not known, or some this, some that.
    std::optional<model::LeaseTerms> says = {};
    bool operator==(const Entry&) const = default;
  };
  std::map<model::VmId, Entry> held;
  std::map<GrantName, bool> released;  // whether it was stamped; until the manager has it
  std::map<GrantName, Stamp> refused;
  bool operator==(const KeeperRecord&) const = default;
};

struct BootRecord {
  std::map<GrantName, BootTime> ends;  // until when a lease was renewed
  bool operator==(const BootRecord&) const = default;
};

class LeaseKeeper {
 public:
  struct Host {
    model::NodeId node;
    std::uint64_t instance = 0;  // random; of this process
    bool watchdog = false;       // seen to work
  };
  // `running`: as the hypervisor says. A guest that runs without a lease must be stopped.
  LeaseKeeper(Host host, const Timing& timing, KeeperRecord record, BootRecord boot, std::set<model::VmId> running);

  struct Duties {
    std::optional<Renewal> renew;   // to be sent now
    std::vector<model::VmId> stop;  // at once, without asking the guest; named until they are stopped
    // What stamps are to say of their leases' terms; named again until `restamped`. One at a time for a guest: what was
    // begun before must have ended.
    std::vector<Restamp> restamp;
  };
  Duties tick(BootTime now, bool storage_well);

  // Terms go to `stop` before the stamp says so, and to `keep` after it: so one that says `stop`, or is of before, is
  // never that of a guest which runs on when the lease has ended. Renewals say `stop` of what does both.
  void answered(const Answer& answer, BootTime now);
  // Whether the host has a watchdog that works, from now on.
  void set_watchdog(bool works);
  // The shared pool was read, not from a cache, and held these claims against this node. If none: the manager may be
  // away, but it hasn't begun to take guests from this node. `began`: before the reading.
  void pool_read(std::vector<std::uint64_t> claims, BootTime began, BootTime now);

  // A start, or a guest that comes in: begin_start or begin_incoming, look at the stamp and write it (judge_stamp),
  // stamped or refused, then may_run_now just before the guest is started or let go on, then started or not_started.
  // failed_precondition: not now.
  Result<KeeperRecord::Entry> begin_start(const model::VmId& vm, BootTime now);
  Result<KeeperRecord::Entry> begin_incoming(const model::VmId& vm, BootTime now);
  bool may_run_now(const model::VmId& vm, BootTime now) const;

  void stamped(const model::VmId& vm);
  void refused(const model::VmId& vm, const Stamp& found);
  // All stamps of this lease say this now. `keep`: or there is none of this lease that could say otherwise.
  void restamped(const Restamp& done);
  // Its disks lie in other pools than before: what is stamped there is to be looked at.
  void pools_changed(const model::VmId& vm) { look_again_.insert(vm); }
  // How a start or a coming in ended, for certain.
  void started(const model::VmId& vm);
  void not_started(const model::VmId& vm);
  // It was seen not to run (any more). Says nothing of a start under way.
  void stopped(const model::VmId& vm);
  // The guest has left, or should not run any more. It must be stopped.
  void give_back(const model::VmId& vm);

  // The watchdog must be armed: there are guests that have to stop when the lease ends.
  bool needs_watchdog() const;
  bool may_feed_watchdog(BootTime now) const;
  // This host must not be put to sleep: on waking, guests would run on before anybody looked at a clock.
  bool blocks_sleep() const { return needs_watchdog(); }

  struct Dirty {
    bool record = false;
    bool boot = false;
  };
  Dirty take_changes() { return std::exchange(dirty_, {}); }
  const KeeperRecord& record() const { return record_; }
  const BootRecord& boot() const { return boot_; }
  std::optional<Token> token(const model::VmId& vm) const;

 private:
  using Entry = KeeperRecord::Entry;
  const Entry* find(const model::VmId& vm) const;
  Entry& entry(const model::VmId& vm);
  GrantName name(const model::VmId& vm) const { return {vm, find(vm)->grant.token}; }
  bool in_time(const Entry& entry, BootTime now) const;
  bool active(const model::VmId& vm) const { return running_.contains(vm) || starting_.contains(vm); }
  void release(const model::VmId& vm);
  void release_if_recalled(const model::VmId& vm);
  void take_recalls(const Answer& answer);
  void take_grants(const Answer& answer, BootTime until, BootTime now);
  void take_terms(const Grant& grant, BootTime ends, BootTime now, Entry& held);
  Terms wanted(const Entry& held) const;
  bool may_be_stamped(const Entry& held) const { return held.stamped || running_.contains(held.grant.vm); }
  Terms told(const Entry& held) const;
  std::optional<model::LeaseTerms> to_be_stamped(const Entry& held) const;
  void restamp(Duties& duties, BootTime now);
  Renewal renewal(bool storage_well);

  Host host_;
  Timing timing_;
  KeeperRecord record_;
  BootRecord boot_;
  std::set<model::VmId> running_;
  std::map<model::VmId, bool> starting_;  // whether its stamp was looked at in this start
  std::set<model::VmId> recalled_;
  std::map<model::VmId, Terms> lowered_;  // to what they go when their stamps say so; until then they are `stop`
  std::map<model::VmId, BootTime> restamp_again_;
  std::set<model::VmId> look_again_;
  std::set<model::VmId> startable_;         // by the newest answer
  std::map<std::uint64_t, BootTime> sent_;  // renewals that an answer may still come to
  std::uint64_t sequence_ = 0;
  std::uint64_t heard_ = 0;  // the newest answer
  std::vector<std::uint64_t> claims_;
  BootTime next_renewal_ = BootTime::min();
  Dirty dirty_;
};

}  // namespace bridgehead::availability
