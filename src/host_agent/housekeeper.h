// Housekeeper: the slow periodic duties of a node, on two threads of its own. One collects the facts, tries broken
// pools again, takes up again what an undo had to leave behind and gives memory back to the system; it blocks in
// libvirt and file systems, which delays nothing else. The other looks at the pools every few seconds, so that a hung
// file system is told of soon. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "host_agent/facts/node_facts.h"
#include "host_agent/pools.h"
#include "model/node.h"

namespace bridgehead::host_agent {

class Housekeeper {
 public:
  struct Duties {
    std::function<CollectedFacts()> collect_facts;
    std::function<void()> leftovers;  // undoes again what could not be undone
    std::function<void()> changed;    // facts or pools differ from what was last told
  };

  struct Intervals {
    std::chrono::milliseconds round{std::chrono::seconds(60)};
    std::chrono::milliseconds mend{std::chrono::seconds(10)};  // between rounds while a pool isn't ready
    std::chrono::milliseconds look{std::chrono::seconds(5)};   // at the pools; with their deadline less than 15 s
  };
  Housekeeper(PoolRegistry& pools, Duties duties, Intervals intervals);
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

  void start();
  void stop();
  // Does its duties soon instead of at the next interval.
  void poke();
  // Waits until the facts were collected once, or once in full; false at the timeout.
  bool wait_for_facts(std::chrono::milliseconds timeout);
  bool wait_for_all_facts(std::chrono::milliseconds timeout);
  // Until then guests can't run here, as far as anybody knows.
  model::NodeFacts facts() const;

 private:
  void work();
  void round();
  void watch_pools();
  void tell_if_changed(bool facts_changed);

  PoolRegistry& pools_;
  const Duties duties_;
  const Intervals intervals_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable collected_;
  bool stopping_ = false;
  bool poked_ = false;
  bool have_facts_ = false;
  bool have_all_facts_ = false;
  std::chrono::steady_clock::time_point last_round_{};
  model::NodeFacts facts_{.hypervisor_message = "the agent is still finding out"};
  std::map<model::PoolId, model::PoolOnNode> told_pools_;
  std::thread thread_;
  std::thread pool_watch_;
};

// Whether the difference is worth telling: readiness, reason, abilities; or more than 1 % of the space.
bool differs_notably(const std::map<model::PoolId, model::PoolOnNode>& a,
                     const std::map<model::PoolId, model::PoolOnNode>& b);

}  // namespace bridgehead::host_agent
