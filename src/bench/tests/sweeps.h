// Generated measurements with known truth.
#pragma once

#include <cmath>

#include "bench/record.h"
#include "bench/scaling.h"

namespace bridgehead::bench {

// Normal by Box and Muller.
inline double normal(BootstrapRandom& random) {
  return std::sqrt(-2 * std::log(1 - random.uniform())) * std::cos(2 * M_PI * random.uniform());
}

template <typename Curve>
std::vector<ScalePoint> sweep(const Curve& curve, int most, int repetitions, double noise, std::uint64_t seed) {
  BootstrapRandom random(seed);
  std::vector<ScalePoint> points;
  for (int n = 1; n <= most; ++n) {
    for (int i = 0; i < repetitions; ++i) points.push_back({1.0 * n, curve.at(n) * (1 + noise * normal(random))});
  }
  return points;
}

inline Workload large_write() {
  return {"image-write", "sequential write, blocks of 1 MiB", false, true, 256 << 20, 1 << 20, 0, false};
}

// Hosts with links of 1 Gbit/s; no pool yet.
inline Record record_of(int hosts) {
  Record record;
  record.name = "r1";
  record.command = "bh bench scale --pool fast";
  record.started = "2026-01-02T03:04:05Z";
  record.version = "0.1.0";
  record.fio = "fio-3.33";
  for (int i = 1; i <= hosts; ++i) {
    record.nodes.push_back({fmt::format("host{}", i), "6.1.0", "a CPU", 8, 16ULL << 30, 1e9});
  }
  record.workloads.push_back(large_write());
  return record;
}

// A run in which the nodes together get this many bytes per second.
inline Run run_of(const std::string& pool, const std::string& workload, int nodes, unsigned repetition, double rate) {
  Run run{pool, workload, static_cast<unsigned>(nodes), repetition, "2026-01-02T03:04:05Z", {}};
  for (int i = 1; i <= nodes; ++i) {
    const auto bytes = static_cast<std::uint64_t>(rate * 10 / nodes);
    run.parts.push_back(
        {fmt::format("host{}", i), bytes, std::max<std::uint64_t>(bytes >> 20, 1), 0.0, 10.0, 1.0, 5.0, 0.2, 0.3, ""});
  }
  return run;
}

inline void add_runs(Record& record, const std::string& pool, const std::vector<ScalePoint>& points) {
  unsigned repetition = 0;
  double before = 0;
  for (const auto& point : points) {
    repetition = point.nodes == before ? repetition + 1 : 1;
    before = point.nodes;
    record.runs.push_back(run_of(pool, "image-write", static_cast<int>(point.nodes), repetition, point.rate));
  }
}

}  // namespace bridgehead::bench
