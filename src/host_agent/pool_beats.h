// PoolBeats: counts up a number in each shared pool of this node, every two seconds, so that other nodes see that it
// lives and reaches its storage when the manager doesn't hear it. A pool that hangs costs one thread and no other
// pool's beat. Thread-safe. Never fails: a beat that can't be written is what it is there to show.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "host_agent/pools.h"

namespace bridgehead::host_agent {

class PoolBeats {
 public:
  // `pools` outlives it.
  PoolBeats(PoolRegistry& pools, model::NodeId node, std::chrono::milliseconds every = std::chrono::seconds(2))
      : pools_(pools), node_(std::move(node)), every_(every) {}
  ~PoolBeats() { stop(); }

  // `count`: higher than any before, and different in each run of the agent.
  void start(std::uint64_t count);
  void stop();

 private:
  void run(std::uint64_t count);
  void beat(std::uint64_t count);

  PoolRegistry& pools_;
  const model::NodeId node_;
  const std::chrono::milliseconds every_;
  std::map<model::PoolId, std::optional<PendingCall<void>>> under_way_;  // the thread's alone
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace bridgehead::host_agent
