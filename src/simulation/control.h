// Control: the manager's side of a simulated fleet: what it believes of hosts and guests, leases, the snapshot for the
// product's planner, and an executor with the product's limits. It learns only what agents that are heard report, and
// forgets plans when it is restarted. Deterministic; not thread-safe.
#pragma once

#include <array>

#include "scheduler/plan.h"
#include "simulation/usage.h"
#include "simulation/world.h"

namespace bridgehead::simulation {

enum class Phase : std::uint8_t { absent, waiting, starting, running, moving };

struct Record {
  Phase phase = Phase::absent;
  HostId host = kNone;
  HostId to = kNone;  // of a move
  double since = 0;
};

using Planner =
    std::function<scheduler::Plan(const scheduler::Cluster&, const scheduler::Policy&, Timestamp, std::uint64_t)>;

// Where tests plant faults; empty: as it should be.
struct Hooks {
  std::function<void(scheduler::Cluster&)> snapshot;                      // before it is planned on
  std::function<void(scheduler::Plan&, const scheduler::Cluster&)> plan;  // before it is carried out
  std::function<void(std::vector<Order>&)> orders;                        // before they are sent
  std::function<double(double)> patience;  // after so many seconds the leases of a silent host count as over
  std::uint32_t more_moves = 0;            // than a host may have at once
};

struct Counts {
  std::uint64_t plans = 0, starts = 0, moves = 0, wakes = 0, sleeps = 0, dropped = 0, restarts = 0;
  double planning_seconds = 0;  // real ones; not in the log
  double longest_planning = 0;
};

class Control {
 public:
  Control(const Scenario& scenario, World& world, Agenda& agenda, Log& log, Planner planner, Hooks hooks);

  // What invariants look at: each snapshot before it is planned on, each plan, each order before it is carried out.
  std::function<void(const scheduler::Cluster&)> on_snapshot = [](const scheduler::Cluster&) {};
  std::function<void(const scheduler::Cluster&, const scheduler::Plan&)> on_plan = [](const auto&, const auto&) {};
  std::function<void(const Order&)> on_order = [](const Order&) {};

  void begin();  // places all that is there at once
  void arrive(GuestId guest);
  void leave(GuestId guest);
  void tick();  // all readings up to now are in `usage`
  void stop();
  void restart();
  bool up() const { return up_; }

  Usage usage;
  std::vector<Record> records;
  Counts counts;
  std::vector<std::uint16_t> moves_of;  // by guest, all that have begun

 private:
  enum class State : std::uint8_t { open, begun, over };
  struct Pending {
    scheduler::Action action;
    GuestId guest = kNone;
    HostId from = kNone;
    State state = State::open;
    bool dropped = false;
  };

  void heard(HostId host);
  void silent(HostId host);
  void lease_over(HostId host);
  void work_over(const Work& work);
  void settle(GuestId guest);
  void set(GuestId guest, Phase phase, HostId host = kNone, HostId to = kNone);
  void count(const Record& record, int sign);
  void plan();
  scheduler::Plan make_plan(const scheduler::Cluster& cluster, const scheduler::Policy& policy);
  void plan_soon();
  scheduler::Cluster snapshot();
  std::uint32_t moves_of_a_day(GuestId guest) const;
  void add_rules(scheduler::Cluster& cluster) const;
  void take(const scheduler::Plan& plan);
  void advance();
  bool may_begin(const Pending& pending) const;
  bool is_over(const Pending& pending) const;
  bool is_under_way(const Pending& pending) const;
  bool is_busy() const;
  bool still_makes_sense(const Pending& pending) const;
  void send(const Pending& pending);
  Timestamp now() const;

  const Scenario& scenario_;
  World& world_;
  Agenda& agenda_;
  Log& log_;
  Planner planner_;
  Hooks hooks_;
  scheduler::Policy policy_;  // without what is only proposed: nobody is there to agree
  bool up_ = true;
  std::uint64_t lives_ = 0;  // of the manager
  std::uint64_t next_token_ = 1;
  double last_plan_ = -1e9;
  bool plan_is_due_ = false;
  std::optional<double> wanted_since_;                                  // that there is something to do but repairs
  std::vector<std::uint32_t> moves_;                                    // by host, in and out, under way
  std::vector<std::uint32_t> starts_;                                   // by host
  std::vector<std::uint32_t> guests_on_;                                // by host, whatever their phase
  std::vector<GuestId> planned_guests_;                                 // by index in the snapshot
  std::vector<std::array<double, scheduler::kMostMovesInADay>> moved_;  // by guest: when, the newest first
  std::vector<std::uint32_t> planned_as_;                               // by guest: its index in the snapshot
  std::vector<Pending> pending_;
};

}  // namespace bridgehead::simulation
