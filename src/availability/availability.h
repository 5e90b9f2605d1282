// Availability: the manager's side as a whole: leases, what becomes of silent nodes, and where their guests go. Time
// and messages come in, Actions come out; no I/O, no clock. Not thread-safe. Never fails; what can't be done yet is
// tried at the next tick and says why.
//
// After each call: if `take_changed`, the record is persisted; only then are the call's actions carried out. They may
// be lost (a crash): all comes again.
#pragma once

#include "availability/lease_book.h"
#include "availability/node_watch.h"
#include "availability/restarts.h"

namespace bridgehead::availability {

struct NodeFacts {
  model::NodeId node;
  bool maintenance = false;
  bool schedulable = true;
  bool power_control = false;
  std::vector<model::PoolId> locks;  // pools in which it may hold some that others can free
  std::set<model::PoolId> pools;
  double cpus = 0;  // virtual ones that may be given away
  Bytes memory;
};

struct GuestFacts {
  model::VmId vm;
  bool wanted = true;         // to be running
  bool restart = false;       // elsewhere, when its node is dead
  Terms terms = Terms::keep;  // of its next lease
  std::int32_t priority = 0;
  std::uint32_t cpus = 1;
  Bytes memory;
  std::set<model::PoolId> pools;
  model::NodeId home;  // where it was placed first
};

struct GuestRecord {
  model::NodeId home;
  unsigned deaths = 0;    // hosts that died under it, one soon after the other
  bool given_up = false;  // until a person says otherwise
  bool operator==(const GuestRecord&) const = default;
};

struct AvailabilityRecord {
  BookRecord book;
  std::map<model::NodeId, NodeRecord> nodes;
  std::map<model::VmId, GuestRecord> guests;
  bool operator==(const AvailabilityRecord&) const = default;
};

class Availability {
 public:
  // `instance`: random, of this process; requests are numbered from it on.
  Availability(const Timing& timing, AvailabilityRecord record, std::uint64_t instance, BootTime now);

  void know(const NodeFacts& node, BootTime now);
  void know(const GuestFacts& guest);
  void forget(const model::NodeId& node);  // taken out of the cluster by a person: it is off for good
  void forget(const model::VmId& vm);

  // See LeaseBook::adopt and number_from.
  void adopt(const model::VmId& vm, const Holder& holder, Terms terms);
  void number_from(Token first);

  Actions renewed(const model::NodeId& node, const Renewal& renewal, BootTime now);
  // Each second or so. `rules`: for guests that start elsewhere.
  Actions tick(BootTime now, const RestartRules& rules = {});
  void peers_answered(const model::NodeId& node, RequestNumber request, bool seen);
  void heartbeat_read(const model::NodeId& node, RequestNumber request, std::uint64_t count);
  void power_ordered(const model::NodeId& node, RequestNumber request);
  void power_read(const model::NodeId& node, RequestNumber request, PowerReading reading, BootTime now);
  void claim_written(const model::NodeId& node, RequestNumber request, BootTime now);
  void locks_freed(const model::NodeId& node, RequestNumber request);

  // What a person says. To a question about a node: it is off. To that about a storm: these nodes are to be dealt with
  // all the same.
  void person_says_off(const model::NodeId& node, RequestNumber question);
  void person_says_go_on(RequestNumber question);
  void person_trusts_power_control(const model::NodeId& node);
  void person_starts(const model::VmId& vm);

  // A guest goes live to another node: its target may let it in. Ends by itself when the guest is there.
  Result<Grant> begin_move(const model::VmId& vm, const model::NodeId& to, BootTime now);
  void cancel_move(const model::VmId& vm);

  const LeaseBook& book() const { return book_; }
  Stage stage(const model::NodeId& node) const;
  std::string state_text(const model::NodeId& node) const;
  // Its power control was caught saying something untrue, and isn't believed.
  bool distrusted(const model::NodeId& node) const;
  const GuestRecord* guest(const model::VmId& vm) const;
  // Why a guest that should run doesn't yet. Empty: it is being started, or nothing is to be done.
  std::string waits_for(const model::VmId& vm) const;
  AvailabilityRecord record() const;
  bool take_changed() { return std::exchange(changed_, false); }

 private:
  struct Node {
    NodeFacts facts;
    NodeWatch watch;
    NodeRecord saved;
  };
  struct Guest {
    GuestFacts facts;
    GuestRecord record;
    std::optional<BootTime> runs_since;  // on its home
  };
  Node* find(const model::NodeId& node);
  bool storm(BootTime now, Actions& actions);
  NodeWatch::Surroundings surroundings(const Node& node, bool storm) const;
  void note_deaths(const Node& node, Actions& actions);
  bool is_gone(const Node& home, bool storming, BootTime now) const;
  void place(bool storming, BootTime now, const RestartRules& rules, Actions& actions);
  std::vector<Room> rooms() const;
  void restart(std::vector<Restart> guests, BootTime now, const RestartRules& rules, Actions& actions);
  void follow_moves(BootTime now);
  bool may_host(const Node& node) const;
  Terms terms_on(const GuestFacts& guest, const model::NodeId& node) const;

  Timing timing_;
  LeaseBook book_;
  std::map<model::NodeId, NodeRecord> known_nodes_;  // of nodes that aren't told yet
  std::map<model::NodeId, Node> nodes_;
  std::map<model::VmId, GuestRecord> known_guests_;
  std::map<model::VmId, Guest> guests_;
  std::set<model::VmId> moves_;  // begun by this process
  std::map<model::VmId, std::string> waits_;
  RequestNumber next_request_;
  std::uint64_t instance_;
  BootTime listening_from_;
  std::optional<BootTime> last_tick_;
  RequestNumber storm_question_ = 0;
  BootTime storm_asked_;
  bool storm_allowed_ = false;
  bool changed_ = true;
};

}  // namespace bridgehead::availability
