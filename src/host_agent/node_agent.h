// NodeAgent: the whole agent, put together from its parts and from what stands behind the seams (hypervisor, pools,
// store, clock). apps/agent gives it the real ones, tests give fakes. Thread-safe: start and stop, once each. Fails at
// create with the journal's error; from then on everything is reported to the manager.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/command.h"
#include "base/random.h"
#include "host_agent/executor.h"
#include "host_agent/facts/node_facts.h"
#include "host_agent/guest_watcher.h"
#include "host_agent/manager/session.h"
#include "host_agent/migration/gates.h"
#include "host_agent/pools.h"
#include "hypervisor/hypervisor.h"
#include "state/state_store.h"

namespace bridgehead::host_agent {

struct NodeAgentConfig {
  std::filesystem::path state_dir;
  std::filesystem::path host_root = "/";   // where /proc, /sys and /etc are read
  std::filesystem::path files_root = "/";  // secret files lie below it
  std::vector<std::filesystem::path> import_directories;
  std::filesystem::path watchdog = "/dev/watchdog0";  // of the host
  std::string version;
  std::filesystem::path config_file = "/etc/bridgehead/agent.toml";  // what it was read from
  std::filesystem::path program;                                     // what this process runs
  ExecutorOptions executor;
  SessionOptions session;
  PoolDeadlines pools;
  MigrationPaths migration;
  TaskTimings tasks;
  WatchTimings watch;
  std::chrono::milliseconds housekeeping{std::chrono::seconds(60)};
  std::chrono::milliseconds measuring{std::chrono::seconds(15)};  // of what guests use
  std::chrono::milliseconds first_look{
      std::chrono::seconds(15)};  // how long the first report may wait for facts and guests
};

struct NodeAgentParts {
  hypervisor::Hypervisor& hypervisor;
  PoolRegistry::Opener open_pool;
  KvmTrials kvm;
  state::StateStore& store;
  const Clock& clock;
  RandomSource& random;
  CommandRunner& commands;
};

class NodeAgent {
 public:
  // `parts` outlive it.
  static Result<std::unique_ptr<NodeAgent>> create(NodeAgentConfig config, NodeAgentParts parts, Identity identity);
  ~NodeAgent();
  NodeAgent(const NodeAgent&) = delete;
  NodeAgent& operator=(const NodeAgent&) = delete;

  void start();
  // Leaves guests as they are; work that was not finished is taken up by the next run.
  void stop();
  bool connected() const;

 private:
  struct State;
  explicit NodeAgent(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::host_agent
