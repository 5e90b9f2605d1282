// Scenario: a simulated cluster and what happens to it, as a value. Read from TOML; docs/simulation.md has every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/cluster.h"
#include "scheduler/policy.h"
#include "simulation/trace_generator.h"

namespace bridgehead::simulation {

using scheduler::Seconds;

struct HostGroup {
  std::size_t count = 1;
  std::string name = "host";  // host001, host002, ...
  double cpus = 64;
  double memory = 274877906944;  // bytes
  std::size_t racks = 1;         // that they are spread over, in turn
  scheduler::PowerModel power{.can_be_switched = true};
};

struct GuestWishes {
  Profile profile = Profile::office;
  std::size_t count = 100;
  bool come_and_go = false;
  std::string file;  // a trace in CSV instead of a profile; relative to the scenario
};

struct Allowance {
  double cpu_overcommit = 4;     // virtual CPUs per CPU
  double memory_overcommit = 1;  // memory promised to guests per byte of the host's
  double host_share = 0.05;      // of CPUs and memory, kept for the host itself
};

// `groups` times `size` guests that are to be kept together, apart and so on; taken in the order of their names.
struct RuleWishes {
  scheduler::RuleKind kind = scheduler::RuleKind::apart;
  scheduler::Domain domain = scheduler::Domain::host;
  bool hard = true;
  double weight = 1;
  std::size_t groups = 1;
  std::size_t size = 2;
  std::size_t hosts = 1;  // of on_hosts and off_hosts: so many
};

enum class FaultKind : std::uint8_t { host_failure, partition, slow_storage, manager_restart };

struct Fault {
  FaultKind kind = FaultKind::host_failure;
  double at = 0;          // seconds from the begin
  double length = 600;    // seconds
  std::string host;       // of host_failure and partition; "" = any
  std::size_t hosts = 1;  // of partition
  double factor = 4;      // of slow_storage: how much longer starts and moves take
};

struct FaultRates {
  double host_failures = 0;     // of each host in a day
  double partitions = 0;        // of the cluster in a day
  double slow_storage = 0;      // likewise
  double manager_restarts = 0;  // likewise
  Seconds repair{4 * 3600};     // until a failed host is back
  Seconds partition{600};
  std::size_t partition_hosts = 2;
  Seconds slow{1800};
  double slow_factor = 4;
  Seconds restart{20};
};

struct Scenario {
  std::string name = "scenario";
  Timestamp begin{std::chrono::sys_days(std::chrono::year(2026) / 1 / 5)};  // a Monday
  Seconds length{86400};
  std::uint64_t seed = 1;
  Seconds plan_every{300};
  Seconds sustained{600};           // there must be something to do for so long before balance or consolidation acts
  Seconds step{60};                 // load and energy are looked at so often; a minute or five
  Seconds lease{60};                // how long a host may run guests without word from the manager
  Seconds start_time{15};           // of a guest, with storage as it should be
  std::size_t starts_per_host = 8;  // at once
  std::vector<HostGroup> hosts;
  GuestWishes guests;
  Allowance allowance;
  scheduler::Policy policy;
  std::vector<RuleWishes> rules;
  FaultRates rates;
  std::vector<Fault> faults;
  std::filesystem::path directory;  // that names of files in it are relative to
};

// Errors name the line and what to write instead.
Result<Scenario> read_scenario(const std::string& name, std::string_view text);
Result<Scenario> load_scenario(const std::filesystem::path& file);

std::string to_text(Seconds length);  // "2d 03:04:05", for people

}  // namespace bridgehead::simulation
