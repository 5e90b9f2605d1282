// ReconcileMetrics: counters of the reconciler, for /metrics. Thread-safe; only ever grow.
#pragma once

#include <atomic>
#include <cstdint>

namespace bridgehead::reconcile {

struct ReconcileMetrics {
  std::atomic<std::uint64_t> passes{0};
  std::atomic<std::uint64_t> pass_microseconds{0};  // sum over all passes
  std::atomic<std::uint64_t> longest_pass_microseconds{0};
  std::atomic<std::uint64_t> conflicts{0};  // commits that had to be decided again
  std::atomic<std::uint64_t> assignments_sent{0};
  std::atomic<std::uint64_t> observations{0};  // guest observations taken in
  std::atomic<std::uint64_t> operations_succeeded{0};
  std::atomic<std::uint64_t> operations_failed{0};
  std::atomic<std::uint64_t> operations_cancelled{0};
};

}  // namespace bridgehead::reconcile
