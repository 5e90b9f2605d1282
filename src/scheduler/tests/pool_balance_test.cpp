#include "scheduler/pool_balance.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bridgehead::scheduler {
namespace {

using model::FileLayout;
using model::TargetState;

model::StorageTarget target(std::uint32_t index, Bytes used, TargetState state = TargetState::up) {
  return {.index = index,
          .name = fmt::format("OST{:04}", index),
          .state = state,
          .total = 100_GiB,
          .available = Bytes(Bytes(100_GiB).count() - used.count())};
}

model::ImagePlacement image(const std::string& name, Bytes allocated, std::vector<std::uint32_t> on) {
  const auto stripes = static_cast<std::uint32_t>(on.size());
  return {.image = model::ImageId(name),
          .allocated = allocated,
          .layout = {.parts = {{.stripes = stripes, .stripe_size = 1_MiB, .targets = std::move(on)}}}};
}

TEST(PoolBalanceTest, AnEvenPoolNeedsNothing) {
  const auto balance = balance_pool(
      {.layouts = true, .targets = {target(0, 50_GiB), target(1, 45_GiB)}, .images = {image("a", 20_GiB, {0})}});
  EXPECT_NEAR(balance.spread, 0.05, 1e-9);
  EXPECT_TRUE(balance.moves.empty());
  EXPECT_EQ(balance.spread_after, balance.spread);
}

TEST(PoolBalanceTest, TheImageThatEvensOutMostMoves) {
  const auto balance =
      balance_pool({.layouts = true,
                    .targets = {target(0, 90_GiB), target(1, 10_GiB)},
                    .images = {image("small", 5_GiB, {0}), image("right", 38_GiB, {0}), image("huge", 85_GiB, {0})}});
  ASSERT_FALSE(balance.moves.empty());
  EXPECT_EQ(balance.moves[0], (TargetMove{.image = model::ImageId("right"), .from = 0, .to = 1, .bytes = 38_GiB}));
  EXPECT_NEAR(balance.spread, 0.8, 1e-9);
  EXPECT_NEAR(balance.spread_after, 0.04, 1e-9);
}

TEST(PoolBalanceTest, OnlyTargetsThatTakeFilesCount) {
  const model::PoolSurvey survey{.layouts = true,
                                 .targets = {target(0, 90_GiB), target(1, Bytes(), TargetState::down),
                                             target(2, Bytes(), TargetState::inactive), target(3, 80_GiB)},
                                 .images = {image("a", 40_GiB, {0})}};
  EXPECT_NEAR(balance_pool(survey).spread, 0.1, 1e-9);
  for (const auto& move : balance_pool(survey, {.tolerated = 0}).moves) EXPECT_EQ(move.to, 3U);
}

TEST(PoolBalanceTest, AStripedImageMovesOneStripe) {
  const auto balance = balance_pool({.layouts = true,
                                     .targets = {target(0, 80_GiB), target(1, 40_GiB), target(2, 20_GiB)},
                                     .images = {image("wide", 40_GiB, {0, 1})}});
  ASSERT_EQ(balance.moves.size(), 1U);
  EXPECT_EQ(balance.moves[0], (TargetMove{.image = model::ImageId("wide"), .from = 0, .to = 2, .bytes = 20_GiB}));
  EXPECT_EQ(balance.targets[0].images, 20_GiB);
  EXPECT_EQ(balance.targets[2].images, Bytes());
}

TEST(PoolBalanceTest, TwoThatAreEquallyFullAreBothHelped) {
  const auto balance =
      balance_pool({.layouts = true,
                    .targets = {target(0, 90_GiB), target(1, 90_GiB), target(2, 10_GiB), target(3, 10_GiB)},
                    .images = {image("a", 40_GiB, {0}), image("b", 40_GiB, {1})}});
  EXPECT_EQ(balance.moves.size(), 2U);
  EXPECT_NEAR(balance.spread_after, 0, 1e-9);
}

TEST(PoolBalanceTest, LayoutsAreCountedWhateverTheirTargets) {
  const auto balance = balance_pool(
      {.layouts = true, .images = {image("a", 1_GiB, {0}), image("b", 2_GiB, {1}), image("c", 4_GiB, {0, 1})}});
  EXPECT_EQ(balance.layouts,
            (std::vector<LayoutInUse>{{.layout = "1 stripe of 1 MiB", .images = 2, .allocated = 3_GiB},
                                      {.layout = "2 stripes of 1 MiB", .images = 1, .allocated = 4_GiB}}));
  EXPECT_EQ(balance.spread, 0) << "no targets are known";
}

TEST(PoolBalanceTest, EveryPlanLowersTheSpreadAndPlanningAgainFindsNothing) {
  rc::check([] {
    model::PoolSurvey survey{.layouts = true};
    const auto count = *rc::gen::inRange(1U, 6U);
    for (std::uint32_t i = 0; i < count; ++i) {
      survey.targets.push_back(target(i, Bytes(*rc::gen::inRange<std::uint64_t>(0, 100) << 30)));
    }
    const auto images = *rc::gen::inRange(0, 12);
    for (int i = 0; i < images; ++i) {
      const auto first = *rc::gen::inRange(0U, count);
      auto& one = survey.images.emplace_back(
          image(std::to_string(i), Bytes(*rc::gen::inRange<std::uint64_t>(1, 40) << 30), {first}));
      if (*rc::gen::arbitrary<bool>() && count > 1) one.layout.parts[0].targets.push_back((first + 1) % count);
    }
    const auto plan = balance_pool(survey);
    RC_ASSERT(plan.spread_after <= plan.spread + 1e-9);
    // The state that the plan leads to.
    for (const auto& move : plan.moves) {
      for (auto& each : survey.targets) {
        if (each.index == move.from) each.available = each.available + move.bytes;
        if (each.index == move.to) each.available = Bytes(each.available.count() - move.bytes.count());
      }
      for (auto& each : survey.images) {
        if (each.image != move.image) continue;
        auto& on = each.layout.parts[0].targets;
        RC_ASSERT(std::find(on.begin(), on.end(), move.to) == on.end());
        const auto found = std::find(on.begin(), on.end(), move.from);
        RC_ASSERT(found != on.end());
        *found = move.to;
      }
    }
    RC_ASSERT(balance_pool(survey).moves.empty() || plan.moves.size() == BalanceLimits{}.most_moves);
  });
}

}  // namespace
}  // namespace bridgehead::scheduler
