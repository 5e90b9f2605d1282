#include "reconcile/planning/use_history.h"

#include <gtest/gtest.h>

#include <malloc.h>

namespace bridgehead::reconcile {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const model::NodeId kNode("node-1");
const model::VmId kVm("vm-1");
// On the clock's whole hour.
const Timestamp kStart{std::chrono::hours(480'000)};

model::NodeUse sample(double cpus) {
  return {.cpus = cpus, .guests = {{.vm = kVm, .cpus = cpus, .memory = Bytes(256_MiB), .storage = 1e6, .network = 5}}};
}

TEST(UseHistory, TellsTheNewestSampleWhileItIsFresh) {
  UseHistory history;
  EXPECT_FALSE(history.newest(kVm, kStart));
  history.note(kNode, sample(1.5), Bytes(), kStart);
  ASSERT_TRUE(history.newest(kVm, kStart + seconds(30)));
  EXPECT_EQ(history.newest(kVm, kStart + seconds(30))->cpus, 1.5);
  EXPECT_EQ(history.node_cpus(kNode, kStart + seconds(30)), 1.5);
  EXPECT_FALSE(history.newest(kVm, kStart + minutes(5)));
  EXPECT_FALSE(history.node_cpus(kNode, kStart + minutes(5)));
}

TEST(UseHistory, KeepsMeansAndPeaksOfFiveMinutes) {
  UseHistory history;
  for (int i = 0; i < 40; ++i)
    history.note(kNode, sample(i < 20 ? 1 : (i % 2 == 0 ? 2 : 4)), Bytes(4_GiB), kStart + seconds(15 * i));
  const auto steps = history.steps(kVm, kStart + minutes(10), 3);
  EXPECT_FALSE(steps[0]) << "before the first sample";
  ASSERT_TRUE(steps[1] && steps[2]);
  EXPECT_NEAR(steps[1]->mean, 1, 0.01);
  EXPECT_NEAR(steps[2]->mean, 3, 0.03);
  EXPECT_NEAR(steps[2]->peak, 4, 0.04);
  const auto of_node = history.steps(kNode, kStart + minutes(10), 3);
  EXPECT_FALSE(of_node[0]);
  ASSERT_TRUE(of_node[2]);
  EXPECT_NEAR(of_node[2]->cpus.peak, 4, 0.04);
  EXPECT_NEAR(of_node[2]->memory, static_cast<double>((4_GiB).count()), 4e7);
  EXPECT_NEAR(of_node[2]->storage, 1e6, 1e4);
  const auto recent = history.recent(kVm, kStart + minutes(10), seconds(120));
  ASSERT_TRUE(recent);
  EXPECT_NEAR(recent->cpus.mean, 3, 0.1);
  EXPECT_NEAR(recent->memory, 256.0 * 1024 * 1024, 2e6);
  EXPECT_NEAR(recent->network, 5, 0.05);
}

TEST(UseHistory, ForgetsNothingOfADayAndShowsItsGaps) {
  UseHistory history;
  for (int i = 0; i < 400; ++i) {
    if (i >= 100 && i < 110) continue;
    history.note(kNode, sample(i), Bytes(), kStart + minutes(5) * i);
  }
  const auto now = kStart + minutes(5) * 400;
  const auto steps = history.steps(kVm, now, 400);
  EXPECT_FALSE(steps[50]) << "older than a day";
  EXPECT_FALSE(steps[105]) << "nothing was measured then";
  for (std::size_t i = 113; i < 400; ++i) {
    ASSERT_TRUE(steps[i]) << i;
    EXPECT_NEAR(steps[i]->mean, static_cast<double>(i), 2) << i;
  }
  const auto hours = history.hours(kVm, now, 24);
  ASSERT_TRUE(hours[20]);
  EXPECT_EQ(history.guests(), 1u);
  history.trim(now + std::chrono::hours(169));
  EXPECT_EQ(history.guests(), 0u);
}

// 30,000 guests in 150 MB.
TEST(UseHistory, CostsLittleMemory) {
  model::NodeUse use;
  for (int i = 0; i < 3000; ++i) use.guests.push_back({.vm = model::VmId(fmt::format("{:036}", i)), .cpus = 1});
  const auto before = ::mallinfo2().uordblks;
  UseHistory history;
  history.note(kNode, use, Bytes(), kStart);
  EXPECT_LT(::mallinfo2().uordblks - before, 15'000'000u);
}

}  // namespace
}  // namespace bridgehead::reconcile
