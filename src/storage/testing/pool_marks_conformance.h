// What every pool driver must do with what agents write beside the images: stamps of leases, nodes' counts, claims.
// Part of PoolConformance; include it where that is instantiated.
#pragma once

#include "storage/testing/pool_conformance.h"

namespace bridgehead::storage::testing {

TEST_P(PoolConformance, LeaseTokensOnlyGrow) {
  const auto vm = make_id<model::VmId>(random_);
  const auto node = make_id<model::NodeId>(random_);
  const auto other = make_id<model::NodeId>(random_);
  EXPECT_FALSE(pool_->read_lease(vm)->has_value());
  ASSERT_TRUE(pool_->stamp_lease({vm, node, 5}));
  EXPECT_TRUE(pool_->stamp_lease({vm, node, 5}));
  EXPECT_EQ(pool_->stamp_lease({vm, other, 5}).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(pool_->stamp_lease({vm, other, 4}).error().code, ErrorCode::failed_precondition);
  ASSERT_TRUE(pool_->stamp_lease({vm, other, 6}));
  // Another opener of the same pool sees it.
  auto second = open();
  ASSERT_TRUE(second->attach().ready);
  const auto seen = second->read_lease(vm);
  ASSERT_TRUE(seen && seen->has_value());
  EXPECT_EQ((*seen)->token, 6U);
  EXPECT_EQ((*seen)->node, other);
  EXPECT_TRUE(pool_->remove_lease(vm));
  EXPECT_TRUE(pool_->remove_lease(vm));
  EXPECT_FALSE(pool_->read_lease(vm)->has_value());
}

TEST_P(PoolConformance, ALeasesStampReplacesOnlyWhatIsOver) {
  const auto vm = make_id<model::VmId>(random_);
  const auto node = make_id<model::NodeId>(random_);
  const auto other = make_id<model::NodeId>(random_);
  const auto third = make_id<model::NodeId>(random_);
  const auto claim = [&](const model::NodeId& by, std::uint64_t token, model::PastLeases past,
                         std::optional<model::LeaseHolder> source = {}) {
    return model::LeaseClaim{
        .vm = vm, .node = by, .token = token, .past = std::move(past), .source = std::move(source)};
  };
  ASSERT_TRUE(pool_->stamp_lease(claim(node, 5, {})));
  // A manager that knows nothing of that lease.
  EXPECT_EQ(pool_->stamp_lease(claim(other, 90, {.over = 4, .ended = {}})).error().code,
            ErrorCode::failed_precondition);
  EXPECT_EQ(pool_->stamp_lease(claim(other, 90, {.over = 4, .ended = {{other, 5}}})).error().code,
            ErrorCode::failed_precondition);
  EXPECT_EQ((*pool_->read_lease(vm))->holder(), (model::LeaseHolder{node, 5}));
  // One that knows that it has ended; from where a guest comes in.
  ASSERT_TRUE(pool_->stamp_lease(claim(other, 6, {.over = 4, .ended = {{node, 5}}})));
  EXPECT_EQ(pool_->stamp_lease(claim(third, 7, {.over = 4, .ended = {}}, model::LeaseHolder{node, 6})).error().code,
            ErrorCode::failed_precondition);
  ASSERT_TRUE(pool_->stamp_lease(claim(third, 7, {.over = 4, .ended = {}}, model::LeaseHolder{other, 6})));
  auto second = open();
  ASSERT_TRUE(second->attach().ready);
  const auto seen = second->read_lease(vm);
  ASSERT_TRUE(seen && seen->has_value());
  EXPECT_EQ((*seen)->holder(), (model::LeaseHolder{third, 7}));
  EXPECT_EQ((*seen)->source, (model::LeaseHolder{other, 6}));
  ASSERT_TRUE(pool_->stamp_lease(claim(node, 8, {.over = 7, .ended = {}})));
  EXPECT_EQ(pool_->stamp_lease(claim(other, 7, {.over = 8, .ended = {}})).error().code, ErrorCode::failed_precondition)
      << "a token only grows";
}

TEST_P(PoolConformance, AStampSaysByWhichTermsItsLeaseIsHeld) {
  const auto vm = make_id<model::VmId>(random_);
  const auto node = make_id<model::NodeId>(random_);
  const auto other = make_id<model::NodeId>(random_);
  using enum model::LeaseTerms;
  const auto own = [&](std::uint64_t token, std::optional<model::LeaseTerms> terms) {
    return model::LeaseClaim{.vm = vm, .node = node, .token = token, .past = {}, .source = {}, .terms = terms};
  };
  EXPECT_EQ(pool_->change_terms(own(5, stop)).error().code, ErrorCode::not_found);
  EXPECT_FALSE(pool_->read_lease(vm)->has_value()) << "nothing is stamped by that";
  const model::LeaseHolder source{other, 4};
  auto first = own(5, {});
  first.source = source;
  ASSERT_TRUE(pool_->stamp_lease(first));
  EXPECT_EQ((*pool_->read_lease(vm))->terms, std::nullopt) << "a stamp of before";
  ASSERT_TRUE(pool_->change_terms(own(5, stop)));
  ASSERT_TRUE(pool_->change_terms(own(5, stop)));
  ASSERT_TRUE(pool_->stamp_lease(own(5, keep)));
  auto second = open();
  ASSERT_TRUE(second->attach().ready);
  const model::LeaseStamp stamped{.vm = vm, .node = node, .token = 5, .source = source, .terms = stop};
  EXPECT_EQ(*second->read_lease(vm), stamped) << "a start changes nothing of a stamp that is there";
  EXPECT_EQ(second->change_terms(own(4, keep)).error().code, ErrorCode::not_found);
  EXPECT_EQ(
      second->change_terms({.vm = vm, .node = other, .token = 5, .past = {}, .source = {}, .terms = keep}).error().code,
      ErrorCode::not_found);
  EXPECT_EQ(*pool_->read_lease(vm), stamped);

  // What a manager takes for over because of the time.
  const auto claim = [&] {
    return model::LeaseClaim{.vm = vm,
                             .node = other,
                             .token = 6,
                             .past = model::PastLeases{.over = 5, .ended = {}, .by_time = true},
                             .source = {},
                             .terms = keep};
  };
  ASSERT_TRUE(pool_->change_terms(own(5, keep)));
  EXPECT_EQ(pool_->stamp_lease(claim()).error().code, ErrorCode::failed_precondition);
  ASSERT_TRUE(pool_->change_terms(own(5, stop)));
  ASSERT_TRUE(pool_->stamp_lease(claim()));
  EXPECT_EQ((*pool_->read_lease(vm))->terms, keep);

  // It comes in elsewhere: the new stamp remembers what the old one said, and nobody changes that meanwhile.
  ASSERT_TRUE(pool_->stamp_lease({.vm = vm,
                                  .node = node,
                                  .token = 7,
                                  .past = model::PastLeases{},
                                  .source = model::LeaseHolder{other, 6},
                                  .terms = keep}));
  EXPECT_EQ((*pool_->read_lease(vm))->source_terms, keep);
  EXPECT_EQ(
      pool_->change_terms({.vm = vm, .node = other, .token = 6, .past = {}, .source = {}, .terms = stop}).error().code,
      ErrorCode::failed_precondition);
}

TEST_P(PoolConformance, ANodesCountIsReadByOthers) {
  const auto node = make_id<model::NodeId>(random_);
  EXPECT_EQ(pool_->read_beat(node).error().code, ErrorCode::not_found);
  ASSERT_TRUE(pool_->write_beat(node, 1'000'000));
  ASSERT_TRUE(pool_->write_beat(node, 7));
  auto second = open();
  ASSERT_TRUE(second->attach().ready);
  const auto seen = second->read_beat(node);
  ASSERT_TRUE(seen) << seen.error().describe();
  EXPECT_EQ(*seen, 7U);
  EXPECT_FALSE(pool_->write_beat(model::NodeId("../x"), 1));
}

TEST_P(PoolConformance, ClaimsAgainstANodeAreReadAndRemovedOneByOne) {
  const auto node = make_id<model::NodeId>(random_);
  auto second = open();
  ASSERT_TRUE(second->attach().ready);
  const auto none = second->read_claims(node);
  if (!none && none.error().code == ErrorCode::unsupported) GTEST_SKIP() << none.error().describe();
  ASSERT_TRUE(none) << none.error().describe();
  EXPECT_TRUE(none->empty());
  ASSERT_TRUE(pool_->write_claim(node, 7));
  ASSERT_TRUE(pool_->write_claim(node, (std::uint64_t{1} << 60) + 8));
  EXPECT_EQ(second->read_claims(node)->size(), 2U);
  ASSERT_TRUE(pool_->remove_claim(node, 7));
  EXPECT_EQ(*second->read_claims(node), std::vector<std::uint64_t>{(std::uint64_t{1} << 60) + 8});
  EXPECT_FALSE(pool_->write_claim(model::NodeId("../x"), 1));
}

TEST_P(PoolConformance, OfManyStampersTheHighestTokenStays) {
  const auto vm = make_id<model::VmId>(random_);
  constexpr std::uint64_t kStampers = 16;
  std::latch go(kStampers);
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<ImagePool>> pools;
  for (std::uint64_t i = 0; i < 2; ++i) pools.push_back(open());
  for (auto& pool : pools) ASSERT_TRUE(pool->attach().ready);
  for (std::uint64_t token = 1; token <= kStampers; ++token) {
    threads.emplace_back([&, token] {
      go.arrive_and_wait();
      (void)pools[token % 2]->stamp_lease({vm, model::NodeId(fmt::format("node-{}", token)), token});
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ((*pool_->read_lease(vm))->token, kStampers);
}

}  // namespace bridgehead::storage::testing
