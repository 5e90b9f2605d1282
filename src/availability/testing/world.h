// A cluster on virtual time for the machines of this module: real LeaseKeepers and a real Availability over hosts,
// disks, power controls, a shared pool, a network and persons, with faults. Everything follows from the seed. Not
// thread-safe.
//
// Checked at every start and stamp: one writer a disk, tokens only grow. At the end, when faults are over: no guest
// lost.
#pragma once

#include <deque>
#include <queue>
#include <random>

#include "availability/availability.h"
#include "availability/lease_keeper.h"

namespace bridgehead::availability::testing {

enum class Bmc { none, good, slow, dead, lies };

struct Host {
  model::NodeId id;
  bool on = false;
  bool dead_for_good = false;
  bool watchdog = false;  // it has one
  bool diskless = false;  // its agent forgets all in a reboot
  bool link = true;
  bool pool = true;
  Bmc bmc = Bmc::good;
  double rate = 1;           // of its clock
  std::int64_t boot_at = 0;  // of the world's time
  std::uint64_t boot = 0;    // which one; events of an earlier one come to nothing
  std::int64_t asleep_since = 0;
  std::int64_t asleep_until = 0;
  std::int64_t disturbed_at = 0;  // when something last kept its agent from working
  std::int64_t paused_until = 0;  // its agent
  std::int64_t fed_at = -1;       // the armed watchdog; -1 = not armed
  std::unique_ptr<LeaseKeeper> keeper;
  std::uint64_t agent = 0;  // which process
  KeeperRecord disk;
  BootRecord tmpfs;
  std::map<model::VmId, Token> guests;          // that run
  std::set<model::VmId> busy;                   // its agent works on them
  std::map<model::VmId, std::uint64_t> coming;  // it is ready for them; which time
  std::set<model::VmId> stopping;
  std::set<model::VmId> restamping;
  std::vector<std::function<void()>> waiting;  // until the agent goes on
  std::int64_t pool_read_at = 0;
};

struct Outcome {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;
  std::string violation;
  std::map<std::string, unsigned> seen;  // how often what happened
};

// A fault that isn't in the machines but in what is around them.
enum class Environment { right, clock_stops_in_sleep, clocks_beyond_bound, disk_checks_nothing };

class World {
 public:
  World(std::uint64_t seed, Environment environment, bool print_log);
  Outcome run();

 private:
  struct Event {
    std::int64_t at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const { return std::tie(other.at, other.order) < std::tie(at, order); }
  };
  struct AgentDied {};
  struct Backup {
    AvailabilityRecord record;
    std::map<model::VmId, Terms> wishes;
    std::int64_t made = 0;
  };

  // Dice and time.
  std::uint64_t below(std::uint64_t end) { return engine_() % end; }
  bool chance(double probability) { return static_cast<double>(engine_() >> 11) * 0x1.0p-53 < probability; }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least + 1)));
  }
  void in(std::int64_t delay, std::function<void()> what) { events_.push({now_ + delay, order_++, std::move(what)}); }
  void run_until(std::int64_t end);
  template <typename... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    if (!print_log_) return;
    fmt::print("{:>9.3f} {}\n", static_cast<double>(now_) / 1000, fmt::format(format, std::forward<Args>(args)...));
  }
  void violate(std::string what);
  void count(const std::string& what) { ++outcome_.seen[what]; }

  // Hosts.
  BootTime time_of(const Host& host) const;
  bool agent_runs(const Host& host) const;
  void power_on(Host& host);
  void power_off(Host& host, const char* why);
  void start_agent(Host& host);
  void kill_agent(Host& host);
  void on_agent(Host& host, std::int64_t delay,
                std::function<void()> what);  // when it runs then; waits while it is paused
  void run_on_agent(Host& host, const std::function<void()>& what);
  void persist(Host& host);
  void agent_tick(Host& host);
  void agent_duties(Host& host);
  void feed_watchdog(Host& host);
  void watchdog_fires(Host& host);
  void begin_start(Host& host, const model::VmId& vm);
  void stamp(Host& host, const model::VmId& vm, bool incoming);
  void restamp(Host& host, const Restamp& wanted);
  void run_guest(Host& host, const model::VmId& vm, Token token);
  void check_stop(const Host& host, const model::VmId& vm);
  void stop_guest(Host& host, const model::VmId& vm);
  void transfer(const model::VmId& vm);
  void wake(Host& host);

  // The manager.
  BootTime manager_time() const;
  void start_manager();
  void kill_manager();
  void on_manager(const std::function<Actions(Availability&)>& what);
  void manager_tick();
  void carry_out(const Action& action);
  void to_manager(Host* from, std::function<Actions(Availability&)> what);
  void to_agent(Host& host, std::function<void()> what);
  std::int64_t delay();
  Host* witness(const model::NodeId& about, bool needs_pool);
  void power_order(Host& host, RequestNumber request);
  void power_reading(Host& host, RequestNumber request);
  void person(const Ask& question);

  // Faults.
  void fault();
  void fault_of_host(Host& host);
  void fault_of_manager();
  void restore_manager(Backup backup);
  void restore_from_before(const model::VmId& vm, Backup before);
  void sleep_host(Host& host);
  void begin_move();
  void cut_link(Host& host, std::int64_t time);
  void change_wish();
  void heal();
  void check_end();

  Environment environment_;
  bool print_log_;
  std::mt19937_64 engine_;
  Timing timing_;
  std::int64_t now_ = 0;
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  Outcome outcome_;
  // What a world is mostly about: anything; leases that end by time; records that go back and guests that move.
  enum class Flavour { any, by_time, restored };
  Flavour flavour_;
  bool faults_ = true;

  std::deque<Host> hosts_;
  std::map<model::NodeId, Host*> by_id_;
  std::vector<GuestFacts> guests_;
  std::map<model::VmId, Terms> wishes_;  // a person's, of what was `stop` at first; adopted in each tick. In the store
  std::map<model::VmId, Stamp> disks_;
  std::map<model::NodeId, std::set<RequestNumber>> claims_;
  std::map<model::NodeId, std::uint64_t> heartbeats_;
  std::map<model::VmId, Token> last_token_;

  std::unique_ptr<Availability> manager_;
  std::uint64_t manager_life_ = 0;
  std::int64_t manager_paused_until_ = 0;
  std::vector<std::function<void()>> manager_waiting_;
  bool manager_link_ = true;
  double manager_rate_ = 1;
  std::int64_t manager_offset_ = 0;
  AvailabilityRecord saved_;
  std::vector<Backup> backups_;
};

}  // namespace bridgehead::availability::testing
