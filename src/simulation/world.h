// World: the simulated truth. Hosts with their power, agents with the guests that run there and the work they were
// given, the network between them and the manager. It does what it is told like real agents do: late, not at all when
// it is broken, and never against a lease. What the manager believes is in control.h. Not thread-safe; deterministic.
#pragma once

#include <map>
#include <set>

#include "simulation/agenda.h"
#include "simulation/log.h"
#include "simulation/scenario.h"
#include "simulation/trace.h"

namespace bridgehead::simulation {

using HostId = std::uint32_t;   // index into World::hosts
using GuestId = std::uint32_t;  // index into World::guests
inline constexpr std::uint32_t kNone = scheduler::kNowhere;

constexpr std::size_t index(scheduler::Resource resource) { return static_cast<std::size_t>(resource); }

// What the manager tells an agent (or a host's power control) to do.
struct Order {
  enum class Kind : std::uint8_t { start, move, wake, sleep } kind = Kind::start;
  GuestId guest = kNone;
  HostId from = kNone;  // of move
  HostId to = kNone;
  std::uint64_t token = 0;  // of the lease it is for; start and move
};

// Begun and not over: what an agent's journal holds.
struct Work {
  Order order;
  double until = 0;
};

class World {
 public:
  struct Host {
    std::string name;
    std::string rack;
    double cpus = 0;
    scheduler::Amounts limits{};
    scheduler::PowerModel model;
    scheduler::HostPower power = scheduler::HostPower::on;
    double power_since = -1e9;
    bool broken = false;
    int cut_off = 0;              // partitions that hold
    std::uint64_t silences = 0;   // how often it fell silent; what was meant for an earlier time is void
    double silent_since = 0;      // if it isn't heard
    std::vector<GuestId> guests;  // that run there
    scheduler::Amounts taken{};   // vcpus and memory of those and of what is on its way
    std::uint32_t moves = 0;      // under way, in and out
    double cpu = 0;               // that guests there want in this minute
  };
  struct Guest {
    const TraceGuest* trace = nullptr;
    std::vector<HostId> runs_on;
    bool there = false;  // its time has come and isn't over
    std::uint64_t highest_token = 0;
  };

  World(const Scenario& scenario, const Trace& trace, Agenda& agenda, Log& log);

  bool heard(HostId host) const {
    const auto& h = hosts[host];
    return h.power == scheduler::HostPower::on && !h.broken && h.cut_off == 0;
  }
  bool runs(GuestId guest, HostId host) const;
  const Work* work_for(GuestId guest) const;

  void carry_out(const Order& order);
  void put(GuestId guest, HostId host);     // runs there at once; only to begin with
  void remove(GuestId guest, HostId host);  // is ended and forgotten there

  // Faults.
  void break_host(HostId host);
  void repair_host(HostId host);
  void cut_off(HostId host);
  void connect(HostId host);
  double slowness = 1;  // of storage; 1 = as it should be

  // What the manager hears, as long as it is up.
  std::function<void(HostId)> on_heard = [](HostId) {};
  std::function<void(HostId)> on_silent = [](HostId) {};
  std::function<void(const Work&)> on_work_over = [](const Work&) {};
  // Of invariants: a guest has begun to run; a host was told to sleep that has guests.
  std::function<void(GuestId, HostId)> on_run = [](GuestId, HostId) {};

  std::vector<Host> hosts;
  std::vector<Guest> guests;
  std::map<std::uint64_t, Work> works;  // by number
  double energy = 0;                    // joules so far
  double energy_always_on = 0;          // the same load with every host on
  std::uint64_t sleeps = 0, wakes = 0;

  double watts(const Host& host) const;
  void account();  // of energy, up to now; before anything about a host changes

  std::string name(GuestId guest) const { return guests[guest].trace->name; }

 private:
  void start(const Order& order);
  void move(const Order& order);
  void end_start(std::uint64_t number);
  void end_move(std::uint64_t number);
  void sleep(HostId host);
  void wake(HostId host);
  void run(GuestId guest, HostId host);
  void stop(GuestId guest, HostId host);
  void take(GuestId guest, HostId host, double sign);
  void fall_silent(HostId host);
  void stop_all(HostId host);
  std::uint64_t begin_work(const Order& order, double seconds);
  void drop_work(std::map<std::uint64_t, Work>::iterator work);
  void drop_works(HostId host);

  const Scenario& scenario_;
  Agenda& agenda_;
  Log& log_;
  std::uint64_t next_work_ = 1;
  std::map<GuestId, std::uint64_t> work_of_;
  double accounted_ = 0;
};

}  // namespace bridgehead::simulation
