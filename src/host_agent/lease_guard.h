// LeaseGuard: the node's part of leases that end by time (availability::LeaseKeeper, terms `stop`): renews them, reads
// the claims against this node in the guests' shared pools, stops guests before their leases end, and feeds the host's
// watchdog while there are such guests. What the stamps beside their disks say of the terms follows, also when terms go
// back to `keep`. Guests that had other terms all along go by their records alone and aren't known here.
// Thread-safe. Never fails: what can't be done ends in a guest that is stopped, or in a host that is reset.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>

#include "availability/lease_keeper.h"
#include "base/random.h"
#include "base/worker_pool.h"
#include "host_agent/host_watchdog.h"
#include "host_agent/journal.h"
#include "host_agent/pools.h"
#include "hypervisor/hypervisor.h"

namespace bridgehead::host_agent {

class LeaseGuard {
 public:
  struct Parts {
    hypervisor::Hypervisor& hypervisor;
    PoolRegistry& pools;
    Journal& journal;
    std::function<void(std::string)> send;  // a renewal
    // Guests that run, or may; nothing: nobody has looked yet.
    std::function<std::optional<std::set<model::VmId>>()> running;
    std::function<void(const model::VmId&)> look;  // at a guest that was stopped
    // A guest that was stopped here, whose lease is this node's all the same: in its lane.
    std::function<void(const model::VmId&)> start_again;
    std::function<void()> watchdog_changed;
  };
  struct Options {
    availability::Timing timing;
    std::filesystem::path ends_file;  // until when leases were renewed; outlives this process, not the boot
    std::filesystem::path watchdog = "/dev/watchdog0";
    std::filesystem::path host_root = "/";
    std::string boot;
    std::chrono::milliseconds every{500};
    std::chrono::milliseconds read_pools_every{2'000};
    std::chrono::milliseconds start_patience{40'000};  // longer than a manager that has just started learns
    std::chrono::milliseconds leave_patience{5'000};
    std::function<availability::BootTime()> time = availability::boot_time;
  };

  // `parts` outlive it. What the journal holds is taken up.
  LeaseGuard(Parts parts, Options options, const model::NodeId& node, RandomSource& random);
  ~LeaseGuard();

  void start();
  // Asks the manager to go without this agent's word and disarms the watchdog. Without its answer the watchdog stays
  // armed, since nobody else would stop these guests: another run of the agent has to be there in time.
  void stop();

  // From the manager.
  void take_renewals(bool takes) { takes_ = takes; }
  void answered(const std::string& text);

  // Around a start of a guest: waits until the manager allows it, where the lease ends by time. failed_precondition:
  // it doesn't.
  Status begin_start(const model::VmId& vm, std::stop_token stop);
  void end_start(const model::VmId& vm, bool started);

  std::string no_watchdog() const;  // why there is none; "" = it works
  // One round; in production its own thread's.
  void look();
  void read_pools();

 private:
  void run();
  void run_pools();
  void see_guests();                                 // lock held
  void look_after_watchdog(availability::BootTime);  // lock held
  void set_watchdog(std::string why_not);            // lock held
  void keep();                                       // lock held
  bool ends_by_time(const model::VmId& vm) const;    // lock held
  void stop_guest(const model::VmId& vm);
  void note_stopped(const model::VmId& vm, bool stopped);   // lock held
  void begin_restamp(const availability::Restamp& wanted);  // lock held
  void restamp(const availability::Restamp& wanted, const std::shared_ptr<void>& busy);
  Result<std::set<model::PoolId>> write_terms(const availability::Restamp& wanted,
                                              const std::shared_ptr<void>& busy) const;

  const Parts parts_;
  const model::NodeId node_;
  const Options options_;
  std::atomic<bool> takes_ = false;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  availability::LeaseKeeper keeper_;
  HostWatchdog watchdog_;
  std::string no_watchdog_ = "it wasn't looked at yet";
  availability::BootTime check_watchdog_at_ = availability::BootTime::min();
  bool leaving_ = false;
  bool kept_ = true;  // the journal has what the keeper must not forget
  std::set<model::VmId> running_;
  std::set<model::VmId> being_stopped_;
  std::set<model::VmId> stopped_alone_;  // as the journal has it
  std::set<model::VmId> starting_;
  std::map<model::VmId, std::set<model::PoolId>> stamped_in_;  // by this process, as the keeper has it
  // Guests whose stamps are being rewritten. A call into a pool that hangs may outlive this object.
  struct Restamping {
    std::mutex mutex;
    std::set<model::VmId> guests;
  };
  const std::shared_ptr<Restamping> restamping_ = std::make_shared<Restamping>();
  bool stopping_ = false;
  WorkerPool stoppers_{4};
  WorkerPool stampers_{2};
  std::thread thread_;
  std::thread pool_thread_;
};

}  // namespace bridgehead::host_agent
