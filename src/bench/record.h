// Record: one benchmark as it is kept and passed on: where it ran, what it did, every run of every node. Plain values;
// the JSON form is the file's (`format` "bridgehead-bench"). Rates and ratios are never kept: they follow from runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bridgehead::bench {

// What one node did in a run.
struct Part {
  std::string node;
  std::uint64_t bytes = 0;
  std::uint64_t operations = 0;
  double began = 0;    // seconds after the common start
  double seconds = 0;  // from then until its last byte was safe
  double p50_ms = 0;
  double p99_ms = 0;
  std::optional<double> cpu_busy;   // the share of all its CPUs, 0..1
  std::optional<double> link_busy;  // the share of its NIC's rate, 0..1
  std::string error;                // empty: it did all of it
  struct Step {
    std::string name;
    double at = 0;  // seconds after `began`
    bool operator==(const Step&) const = default;
  };
  std::vector<Step> steps;  // on the way, in their order; none: nobody told them
  // Of a boot: what it took from the boot server by HTTP, and of its root by NBD or NFS; nullopt: it wasn't counted.
  std::optional<std::uint64_t> http_bytes;
  std::optional<std::uint64_t> root_bytes;
};

struct Run {
  std::string pool;
  std::string workload;
  unsigned nodes = 0;       // that were to take part
  unsigned repetition = 1;  // from 1
  std::string started;      // RFC 3339
  std::vector<Part> parts;

  // Every node took part to the end.
  bool complete() const;
  double skew() const;  // seconds between the first node's begin and the last one's
};

struct Workload {
  std::string name;
  std::string what;              // for people: "sequential write, 1 MiB blocks, ..."
  bool in_operations = false;    // counts operations instead of bytes
  bool writes = false;           // anything
  std::uint64_t node_bytes = 0;  // each node, at most
  std::uint64_t block_bytes = 0;
  double seconds = 0;  // at most; 0: until all bytes are through
  bool direct = false;
  bool in_seconds = false;  // told is how long a run takes: one guest, or one wave of booting nodes
  std::string peer_of;      // the workload that this one does with other means; "" = it's nobody's peer
};

struct NodeFacts {
  std::string name;
  std::string kernel;
  std::string cpu;
  unsigned cpus = 0;
  std::uint64_t memory_bytes = 0;
  double link_bits = 0;  // per second; 0: unknown
  std::string guest;     // a guest of it did the work: "kvm", "emulated"; "" = itself
};

struct PoolFacts {
  std::string name;
  std::string driver;
  std::string layout;            // for people
  unsigned servers = 0;          // 0: unknown
  double server_link_bits = 0;   // per second, of each; 0: unknown
  double server_disk_bytes = 0;  // per second, of each; 0: unknown
  unsigned copies = 0;           // of each block; 0: unknown
};

struct Record {
  std::string name;
  std::string command;
  std::string started;  // RFC 3339
  std::string version;  // of Bridgehead
  std::string fio;
  std::vector<NodeFacts> nodes;
  std::vector<PoolFacts> pools;
  std::vector<Workload> workloads;
  std::vector<Run> runs;
  std::vector<std::string> notes;  // what happened on the way

  bool through_guests() const;
  bool emulated() const;                                  // a guest at least was
  const Workload* workload(std::string_view name) const;  // null: not there
  const PoolFacts* pool(std::string_view name) const;
};

// Of all nodes together, per second, in bytes, operations or (in_seconds) runs: what was moved, by the time from the
// first begin to the last end. 0 where nothing was measured.
double rate_of(const Run& run, const Workload& workload);

// Errors: data_corrupt (with what is wrong and where), unsupported (made by a newer version).
Result<Record> read_record(std::string_view text);
std::string write_record(const Record& record);

// "25G", "200M", "1.5Gbit/s", "1000000000": bits per second, decimal as links are sold. Errors: invalid_argument.
Result<double> parse_link(std::string_view text);

// One line for each node in each run, with a head.
std::string write_csv(const Record& record);

}  // namespace bridgehead::bench
