// The simulation finds what it is for: each of these faults ends in a violation within some worlds, and without one
// none does. The sources are the module's with all mutants in them (make_mutants); `mutant` chooses.
#include <gtest/gtest.h>

#include "availability/mutant_names.h"
#include "availability/testing/world.h"

int mutant = 0;

namespace bridgehead::availability::testing {
namespace {

constexpr std::uint64_t most_worlds = 4'000;

struct Found {
  std::uint64_t seed = 0;
  std::string violation;
};

Found find(Environment environment, std::uint64_t step = 1) {
  for (std::uint64_t seed = 1; seed <= most_worlds; seed += step) {
    auto outcome = World(seed, environment, false).run();
    if (!outcome.violation.empty()) return {seed, std::move(outcome.violation)};
  }
  return {};
}

TEST(AvailabilityMutants, EachIsFound) {
  for (int number = 1; number <= static_cast<int>(std::size(mutant_names)); ++number) {
    mutant = number;
    const auto found = find(Environment::right);
    fmt::print("{}: world {}, {}\n", mutant_names[number - 1], found.seed, found.violation);
    EXPECT_NE(found.seed, 0U) << mutant_names[number - 1];
  }
  mutant = 0;
}

TEST(AvailabilityMutants, SurroundingsThatBreakThePromisesAreFound) {
  const int by_time = 3;  // every third world, from the first, is about leases that end by time
  EXPECT_NE(find(Environment::clock_stops_in_sleep, by_time).violation, "")
      << "a clock that stands still while the host sleeps";
  EXPECT_NE(find(Environment::clocks_beyond_bound, by_time).violation, "") << "clocks that go more wrong than promised";
  EXPECT_NE(find(Environment::disk_checks_nothing).violation, "") << "stamps that are written without a look";
}

TEST(AvailabilityMutants, WithoutOneNothingIsFound) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed)
    ASSERT_EQ(World(seed, Environment::right, false).run().violation, "") << seed;
}

}  // namespace
}  // namespace bridgehead::availability::testing
