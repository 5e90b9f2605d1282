// What users may ask for of benchmarks. Errors, dry runs and references as in commands.h.
#pragma once

#include "model/benchmark.h"
#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

struct BenchmarkPoolRequest {
  std::string pool;
  std::uint64_t servers = 0;  // the rest: as in model::BenchmarkPool
  double server_link_bits = 0;
  double server_disk_bytes = 0;
  std::uint64_t copies = 0;
};

struct StartBenchmark {
  std::string name;  // "" = bench-1, bench-2, ...
  std::vector<BenchmarkPoolRequest> pools;
  std::vector<std::string> nodes;           // none = those that have the pools ready
  std::optional<std::uint64_t> most_nodes;  // of them; omitted = as many as `counts` takes
  std::string counts;                       // "1-3,5": how many at once; "" = 1 to all of them
  std::vector<std::string> workloads = {"image-write", "image-read"};
  Bytes file_size = 1_GiB;
  std::uint64_t seconds = 60;
  std::uint64_t repetitions = 3;
  std::uint64_t users = 4;
  Bytes rate;
  double pressure = 60;
  double guest_disk_ms = 200;
  double node_link_bits = 0;
  std::optional<std::uint64_t> seed;  // omitted = another one each time
  std::string guest_image;            // golden; "" = the nodes themselves measure
  std::uint64_t guest_cpus = 1;
  Bytes guest_memory = 1_GiB;
};

// The pools must be shared where several nodes take part; through guests they needn't be, since each has its own disk.
Result<Accepted<model::Benchmark>> start_benchmark(Commander& commander, const Caller& caller,
                                                   const StartBenchmark& request);
// What bh has measured by itself (guests, boots, mounted storage): kept among the others.
struct KeepBenchmark {
  std::string name;        // "" = bench-1, bench-2, ...; of one that is kept already: not asked
  std::string result;      // the file of docs/bench.md
  std::uint64_t runs = 0;  // in all that there are to be; 0 = those of the result
  std::string message;     // why it isn't all of them
};
// A new one, or, with a name or id in `kept`, what has come to it. Errors: invalid_argument (it isn't a result),
// failed_precondition (the manager itself measures or has measured that one).
Result<model::Benchmark> keep_benchmark(Commander& commander, const Caller& caller, const KeepBenchmark& request,
                                        const std::optional<std::string>& kept = std::nullopt);
// Guests of benchmarks have this label; the value is the benchmark's id, or what `bh` gave its own.
inline constexpr char kBenchLabel[] = "bridgehead-bench";
bool is_guest_of(const model::Vm& vm, const model::BenchmarkId& benchmark);
// With its result. failed_precondition while it runs, or while something of it is left in a pool.
Result<model::Benchmark> remove_benchmark(Commander& commander, const Caller& caller, const std::string& benchmark);

}  // namespace bridgehead::reconcile
