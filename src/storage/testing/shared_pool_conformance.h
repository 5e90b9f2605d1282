// What drivers of shared pools must do besides: two nodes, each with a mount of its own where agents mount the pool,
// see the same and keep out of each other's way. Instantiated beside PoolConformance.
#pragma once

#include "storage/testing/holding_qemu.h"
#include "storage/testing/pool_conformance.h"

namespace bridgehead::storage::testing {

class SharedPoolConformance : public PoolConformance {
 protected:
  void SetUp() override {
    PoolConformance::SetUp();
    if (HasFatalFailure()) return;
    auto other =
        open_pool(record_, {.mounts = directory_->path() / "mounts-of-another-node", .node = make_uuid(random_)});
    ASSERT_TRUE(other);
    other_ = std::move(*other);
    const auto attached = other_->attach();
    ASSERT_TRUE(attached.ready) << attached.message;
  }
  void TearDown() override {
    if (other_) {
      EXPECT_TRUE(other_->detach());
    }
    PoolConformance::TearDown();
  }

  std::unique_ptr<ImagePool> other_;
};

TEST_P(SharedPoolConformance, NodesThatShareAPoolSeeTheSameImagesAndLeaveEachOthersUnfinishedFilesAlone) {
  const auto golden = imported_golden();
  const auto seen = other_->inspect(golden);
  ASSERT_TRUE(seen) << seen.error().describe();
  EXPECT_TRUE(content_of(seen->path) == content_of(raw_source()));
  // A clone made here reads right there, wherever the pool is mounted.
  const auto disk = image(model::ImageRole::disk);
  ASSERT_TRUE(pool_->create_disk(disk, &golden, 32_MiB));
  const auto clone = other_->inspect(disk);
  ASSERT_TRUE(clone) << clone.error().describe();
  std::string expected = content_of(raw_source());
  expected.resize(32 << 20, '\0');
  EXPECT_TRUE(disk_as_raw(*clone) == expected);

  const auto theirs = make_id<model::OperationId>(random_);
  write_content(tmp() / (theirs.str() + ".raw"), "half");
  ASSERT_TRUE(other_->collect_garbage([](const auto&) { return false; }));
  EXPECT_EQ(files_in(tmp()).size(), 1U);
}

TEST_P(SharedPoolConformance, QemusImageLocksHoldAcrossNodes) {
  const auto disk = image(model::ImageRole::disk);
  const auto stored = pool_->create_disk(disk, nullptr, 4_MiB);
  ASSERT_TRUE(stored);
  // QEMU's own image locks, held through one mount, are seen through the other.
  HoldingQemu guest(*stored);
  const auto grown = other_->grow_disk(disk, 8_MiB);
  ASSERT_FALSE(grown);
  EXPECT_EQ(grown.error().code, ErrorCode::failed_precondition) << grown.error().describe();
  guest.end();
  EXPECT_TRUE(other_->grow_disk(disk, 8_MiB));
}

TEST_P(SharedPoolConformance, LeaseTokensOnlyGrowAcrossNodes) {
  const auto vm = make_id<model::VmId>(random_);
  ASSERT_TRUE(pool_->stamp_lease({vm, model::NodeId("a"), 5}));
  EXPECT_EQ(other_->stamp_lease({vm, model::NodeId("b"), 5}).error().code, ErrorCode::failed_precondition);
  ASSERT_TRUE(other_->stamp_lease({vm, model::NodeId("b"), 6}));
  EXPECT_EQ(pool_->stamp_lease({vm, model::NodeId("a"), 5}).error().code, ErrorCode::failed_precondition);
  const auto seen = pool_->read_lease(vm);
  ASSERT_TRUE(seen && *seen);
  EXPECT_EQ((*seen)->token, 6U);

  constexpr std::uint64_t kStampers = 8;
  std::latch go(kStampers);
  std::vector<std::thread> threads;
  for (std::uint64_t token = 7; token < 7 + kStampers; ++token) {
    threads.emplace_back([&, token] {
      go.arrive_and_wait();
      (void)(token % 2 == 0 ? pool_ : other_)->stamp_lease({vm, model::NodeId(fmt::format("node-{}", token)), token});
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ((*pool_->read_lease(vm))->token, 6 + kStampers);
  EXPECT_EQ((*other_->read_lease(vm))->token, 6 + kStampers);
}

// At hand-over one node's client may still hold what its guest wrote past the page cache: a flush must be enough.
TEST_P(SharedPoolConformance, WhatWasWrittenDirectlyAndFlushedIsReadOnTheOtherNode) {
  const auto disk = image(model::ImageRole::disk);
  const auto stored = pool_->create_disk(disk, nullptr, 16_MiB);
  ASSERT_TRUE(stored);
  const auto there = other_->inspect(disk);
  ASSERT_TRUE(there);
  const char* cache = state_.abilities.direct_io ? "none" : "writeback";
  for (int round = 1; round <= 5; ++round) {
    const auto pattern = fmt::format("write -P {} 1M 8M", round);
    run_tool("qemu-io", {"-f", "raw", "-t", cache, "-c", pattern, "-c", "flush", stored->path.native()});
    run_tool("qemu-io", {"-f", "raw", "-t", cache, "-c", fmt::format("read -P {} 1M 8M", round), there->path.native()});
    const auto seen = content_of(there->path);
    EXPECT_EQ(seen.size(), 16U << 20);
    EXPECT_EQ(seen.find_first_not_of(static_cast<char>(round), 1 << 20), 9U << 20) << "round " << round;
  }
}

}  // namespace bridgehead::storage::testing
