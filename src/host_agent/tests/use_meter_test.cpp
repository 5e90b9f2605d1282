#include "host_agent/use_meter.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <fstream>

#include "hypervisor/testing/fake_hypervisor.h"

namespace bridgehead::host_agent {
namespace {

TEST(UseMeter, CountsTheMachinesBusyTimeWithoutIdling) {
  const double tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  EXPECT_EQ(busy_seconds("cpu  100 10 50 9000 700 3 7 30 99 0\ncpu0 1 1 1 1\n"), 200 / tick);
  EXPECT_EQ(busy_seconds(""), 0);
  EXPECT_EQ(busy_seconds("intr 1 2 3"), 0);
}

class RaplTest : public ::testing::Test {
 protected:
  RaplTest() { std::filesystem::create_directories(zones_); }
  ~RaplTest() override { std::filesystem::remove_all(root_); }
  void zone(const std::string& zone, const std::string& name, std::uint64_t microjoules, std::uint64_t range) {
    std::filesystem::create_directories(zones_ / zone);
    std::ofstream(zones_ / zone / "name") << name << "\n";
    std::ofstream(zones_ / zone / "energy_uj") << microjoules << "\n";
    std::ofstream(zones_ / zone / "max_energy_range_uj") << range << "\n";
  }
  std::optional<double> after(std::chrono::seconds time) { return meter_.watts(now_ += time); }

  std::filesystem::path root_ = std::filesystem::path(::testing::TempDir()) / fmt::format("rapl-{}", ::getpid());
  std::filesystem::path zones_ = root_ / "sys/class/powercap";
  RaplMeter meter_{root_};
  Monotonic now_{std::chrono::hours(1)};
};

// Two packages with their memory; cores are in the packages already, and the same counters by another way count once.
TEST_F(RaplTest, AddsUpPackagesAndMemory) {
  const auto set = [&](std::uint64_t package, std::uint64_t memory) {
    zone("intel-rapl:0", "package-0", package, 1'000'000'000);
    zone("intel-rapl:1", "package-1", package, 1'000'000'000);
    zone("intel-rapl:0:0", "core", package, 1'000'000'000);
    zone("intel-rapl:0:1", "dram", memory, 1'000'000'000);
    zone("intel-rapl-mmio:0", "package-0", package, 1'000'000'000);
  };
  set(500, 700);
  EXPECT_FALSE(after(std::chrono::seconds(0)));
  set(500 + 300'000'000, 700 + 50'000'000);
  EXPECT_DOUBLE_EQ(after(std::chrono::seconds(10)).value(), 65);
}

TEST_F(RaplTest, CountersWrapAround) {
  zone("intel-rapl:0", "package-0", 990'000'000, 1'000'000'000);
  (void)after(std::chrono::seconds(0));
  zone("intel-rapl:0", "package-0", 140'000'000, 1'000'000'000);
  EXPECT_DOUBLE_EQ(after(std::chrono::seconds(15)).value(), 10);
}

TEST_F(RaplTest, TellsNothingThatItDoesNotKnow) {
  EXPECT_FALSE(after(std::chrono::seconds(0)));
  zone("intel-rapl:0", "package-0", 0, 1'000'000'000);
  EXPECT_FALSE(after(std::chrono::seconds(15)));
  zone("intel-rapl:0", "package-0", 10'000'000, 1'000'000'000);
  EXPECT_FALSE(after(std::chrono::seconds(600))) << "it may have wrapped around twice";
  zone("intel-rapl:1", "package-1", 10'000'000, 1'000'000'000);
  EXPECT_FALSE(after(std::chrono::seconds(15))) << "a counter came";
  std::ofstream(zones_ / "intel-rapl:1" / "energy_uj") << "";
  EXPECT_FALSE(after(std::chrono::seconds(15))) << "half of it can't be read";
}

// Rates come from two looks; a guest that was started again between them is left out of one.
TEST(UseMeter, TellsRatesOfGuestsThatRun) {
  hypervisor::testing::FakeHypervisor hypervisor;
  const model::VmId vm("11111111-1111-4111-8111-111111111111");
  ASSERT_TRUE(hypervisor.configure({.id = vm, .name = "a"}));
  ASSERT_TRUE(hypervisor.start(vm));

  std::mutex mutex;
  std::condition_variable told;
  std::deque<model::NodeUse> all;
  std::size_t looks = 0;
  UseMeter meter(
      hypervisor, "/",
      [&](const model::NodeUse& use) {
        const std::lock_guard lock(mutex);
        all.push_back(use);
        ++looks;
        told.notify_all();
      },
      std::chrono::milliseconds(20));
  const auto wait_for = [&](std::size_t more) {
    std::unique_lock lock(mutex);
    all.clear();
    const auto until = looks + more;
    return told.wait_for(lock, std::chrono::seconds(30), [&] { return looks >= until; });
  };
  meter.start();
  ASSERT_TRUE(wait_for(2));
  {
    const std::lock_guard lock(mutex);
    ASSERT_EQ(all.back().guests.size(), 1u);
    EXPECT_EQ(all.back().guests[0].vm, vm);
    EXPECT_EQ(all.back().guests[0].cpus, 0);
  }
  hypervisor.count({.id = vm, .cpu = std::chrono::hours(1), .memory = Bytes(64_MiB), .storage = 4096, .network = 100});
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(told.wait_for(lock, std::chrono::seconds(30), [&] {
      return std::any_of(all.begin(), all.end(), [](const auto& use) {
        return !use.guests.empty() && use.guests[0].cpus > 0 && use.guests[0].storage > 0;
      });
    })) << "an hour of CPU within some milliseconds";
  }
  EXPECT_EQ(meter.guest_disk_ms(), 0);
  for (const auto& [operations, waited] : {std::pair{3U, 0.0}, std::pair{23U, 50.0}}) {
    hypervisor.count({.id = vm,
                      .cpu = std::chrono::hours(1),
                      .memory = Bytes(64_MiB),
                      .storage = 4096,
                      .disk_operations = operations,
                      .disk_time = std::chrono::milliseconds(operations * 50),
                      .network = 100});
    double most = 0;
    for (int look = 0; look < 3; ++look) {
      ASSERT_TRUE(wait_for(1));
      most = std::max(most, meter.guest_disk_ms());
    }
    EXPECT_EQ(most, waited) << "of " << operations;
  }
  hypervisor.count({.id = vm});
  ASSERT_TRUE(wait_for(3));
  {
    const std::lock_guard lock(mutex);
    ASSERT_EQ(all.back().guests.size(), 1u);
    EXPECT_EQ(all.back().guests[0].cpus, 0) << "counted anew after its restart";
  }
  ASSERT_TRUE(hypervisor.power_off(vm));
  ASSERT_TRUE(wait_for(2));
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(all.back().guests.empty());
}

}  // namespace
}  // namespace bridgehead::host_agent
