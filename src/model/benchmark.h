// A benchmark of pools by their nodes: what was asked for, what has come of it, and what may be left of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/ids.h"

namespace bridgehead::model {

// stopped: it ended before all runs were done; its message says why. What was measured until then is there.
enum class BenchmarkState : std::uint8_t { running, done, stopped };

// What the nodes can't know of a pool; 0 = nobody knows.
struct BenchmarkPool {
  PoolId pool;
  std::string name;  // when it was measured
  std::uint32_t servers = 0;
  double server_link_bits = 0;   // a second, of each server
  double server_disk_bytes = 0;  // a second, of each server
  std::uint32_t copies = 0;

  bool operator==(const BenchmarkPool&) const = default;
};

struct BenchmarkNode {
  NodeId node;
  std::string name;  // when it was measured

  bool operator==(const BenchmarkNode&) const = default;
};

// Guests that measure in their node's place, one on each, with a disk in each pool. No image: the nodes measure.
struct BenchmarkGuests {
  ImageId image;
  std::string image_name;  // when it was measured
  std::uint32_t cpus = 1;
  Bytes memory;

  bool operator==(const BenchmarkGuests&) const = default;
};

struct BenchmarkSettings {
  std::vector<BenchmarkPool> pools;
  std::vector<BenchmarkNode> nodes;
  std::vector<std::uint32_t> counts;  // of nodes at once, each 1..nodes.size()
  std::vector<std::string> workloads;
  Bytes file_size;             // of each node
  std::uint32_t seconds = 60;  // most of one run
  std::uint32_t repetitions = 3;
  std::uint32_t users = 4;    // at once on each node, for the workloads of several
  Bytes rate;                 // a second, most of each node; 0 = no limit
  double pressure = 0;        // percent of time that tasks of a node with guests wait for I/O, memory or CPU;
                              // above it the benchmark stops; 0 = it never does
  double guest_disk_ms = 0;   // the same where a disk operation of a guest takes longer on average; 0 = it never does
  double node_link_bits = 0;  // a second, where the nodes' links don't tell
  std::uint64_t seed = 1;     // of the order
  BenchmarkGuests guests;

  bool operator==(const BenchmarkSettings&) const = default;
};

// A folder that is still to be removed.
struct BenchmarkLeftover {
  PoolId pool;
  NodeId node;

  bool operator==(const BenchmarkLeftover&) const = default;
};

struct Benchmark {
  BenchmarkId id;
  std::string name;
  std::string command;  // that asks for the same again
  BenchmarkSettings settings;
  BenchmarkState state = BenchmarkState::running;
  std::string message;
  OperationId operation;  // that carries it out
  std::string created_by;
  Timestamp created{};
  Timestamp finished{};
  std::uint32_t runs_done = 0;
  std::uint32_t runs = 0;  // in all
  std::string result;      // the file of docs/bench.md, with what was measured so far; "" = nothing yet
  std::vector<BenchmarkLeftover> leftovers;

  bool operator==(const Benchmark&) const = default;
};

}  // namespace bridgehead::model
