#include "host_agent/use_meter.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>

#include "hypervisor/testing/fake_hypervisor.h"

namespace bridgehead::host_agent {
namespace {

TEST(UseMeter, CountsTheMachinesBusyTimeWithoutIdling) {
  const double tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  EXPECT_EQ(busy_seconds("cpu  100 10 50 9000 700 3 7 30 99 0\ncpu0 1 1 1 1\n"), 200 / tick);
  EXPECT_EQ(busy_seconds(""), 0);
  EXPECT_EQ(busy_seconds("intr 1 2 3"), 0);
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
