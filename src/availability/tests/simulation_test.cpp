// Random worlds with faults at every step. BRIDGEHEAD_AVAILABILITY_SEED=n runs one of them again and prints its log,
// BRIDGEHEAD_AVAILABILITY_STEPS=n takes so many steps in all.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "availability/testing/world.h"

namespace bridgehead::availability::testing {
namespace {

std::uint64_t current_seed = 0;

// A broken invariant of the product's aborts.
void say_seed(int) {
  std::fprintf(stderr, "BRIDGEHEAD_AVAILABILITY_SEED=%llu\n", static_cast<unsigned long long>(current_seed));
}

TEST(AvailabilitySimulation, OneWriterAndNoGuestIsLost) {
  if (const char* chosen = std::getenv("BRIDGEHEAD_AVAILABILITY_SEED")) {
    const auto outcome = World(std::strtoull(chosen, nullptr, 10), Environment::right, true).run();
    EXPECT_EQ(outcome.violation, "");
    return;
  }
  std::signal(SIGABRT, say_seed);
  // Another thousand worlds each time; the seed is in what is printed.
  const auto first = std::chrono::system_clock::now().time_since_epoch().count() / 1'000'000'000;
  const char* more = std::getenv("BRIDGEHEAD_AVAILABILITY_STEPS");
  const auto most = more ? std::strtoull(more, nullptr, 10) : 3'000'000;
  const auto begin = std::clock();
  std::uint64_t steps = 0, worlds = 0;
  std::map<std::string, unsigned> seen;
  for (auto seed = static_cast<std::uint64_t>(first); steps < most; ++seed, ++worlds) {
    current_seed = seed;
    const auto outcome = World(seed, Environment::right, false).run();
    ASSERT_EQ(outcome.violation, "") << "run again: BRIDGEHEAD_AVAILABILITY_SEED=" << seed
                                     << " availability_simulation_test";
    steps += outcome.steps;
    for (const auto& [what, times] : outcome.seen) seen[what] += times;
  }
  fmt::print("seeds from {}: {} worlds, {} steps, {:.1f} s of CPU\n", first, worlds, steps,
             static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  for (const auto& [what, times] : seen) fmt::print("{:>8} {}\n", times, what);
  // What is to be tried was tried.
  for (const char* what : {"stamp refused", "moved", "person asked", "restarted elsewhere", "placed", "lost power",
                           "reset by its watchdog", "switched off by the manager", "manager restored"}) {
    EXPECT_GT(seen[what], 20U) << what;
  }
}

}  // namespace
}  // namespace bridgehead::availability::testing
