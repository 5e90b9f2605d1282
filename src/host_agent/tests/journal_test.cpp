#include "host_agent/journal.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "host_agent/remembered.h"
#include "state/memory_store.h"

namespace bridgehead::host_agent {
namespace {

using model::AssignmentState;

class JournalTest : public ::testing::Test {
 protected:
  std::unique_ptr<Journal> open() {
    auto journal = Journal::open(*store_);
    EXPECT_TRUE(journal) << journal.error().describe();
    return std::move(*journal);
  }
  model::Assignment assignment() {
    return {.operation = make_id<model::OperationId>(random_),
            .body = model::RebootVm{.vm = make_id<model::VmId>(random_), .lease = 3}};
  }

  SeededRandom random_{7};
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
};

TEST_F(JournalTest, ReceivedWorkSurvivesInItsOrder) {
  std::vector<model::Assignment> given;
  {
    const auto journal = open();
    for (int i = 0; i < 20; ++i) {
      given.push_back(assignment());
      EXPECT_EQ(journal->receive(given.back()), Receipt::accepted);
      EXPECT_EQ(journal->receive(given.back()), Receipt::unfinished);
    }
  }
  EXPECT_EQ(open()->unfinished(), given);
}

TEST_F(JournalTest, AnEndIsKeptUntilItIsAcknowledged) {
  const auto work = assignment();
  const model::AssignmentReport report{.operation = work.operation,
                                       .state = AssignmentState::failed,
                                       .error = Error{ErrorCode::not_found, "no guest", "make one"}};
  {
    const auto journal = open();
    ASSERT_TRUE(journal->receive(work));
    ASSERT_TRUE(journal->finish(report, std::nullopt));
    EXPECT_EQ(journal->receive(work), Receipt::finished);
  }
  {
    const auto journal = open();
    EXPECT_TRUE(journal->unfinished().empty());
    EXPECT_EQ(journal->finished(), std::vector{report});
    EXPECT_EQ(journal->receive(work), Receipt::finished);
    EXPECT_TRUE(journal->acknowledge(work.operation));
    EXPECT_TRUE(journal->acknowledge(work.operation));
  }
  EXPECT_TRUE(open()->finished().empty());
}

TEST_F(JournalTest, WhatWasAppliedAndWhatIsBeingCreated) {
  const auto vm = make_id<model::VmId>(random_);
  const auto work = assignment();
  const Creation creation{.operation = work.operation, .lease = 4, .disks = {{.id = make_id<model::ImageId>(random_)}}};
  const AppliedVm applied{.generation = 5,
                          .lease = 4,
                          .power = model::PowerState::paused,
                          .autostart = true,
                          .pools = {make_id<model::PoolId>(random_)},
                          .memory = 1_GiB};
  {
    const auto journal = open();
    ASSERT_TRUE(journal->receive(work));
    ASSERT_TRUE(journal->begin_creation(vm, creation));
  }
  {
    const auto journal = open();
    EXPECT_EQ(journal->creation(vm), creation);
    ASSERT_TRUE(
        journal->finish({.operation = work.operation, .state = AssignmentState::succeeded}, VmChange{vm, applied}));
  }
  {
    const auto journal = open();
    EXPECT_EQ(journal->applied(vm), applied);
    EXPECT_EQ(journal->creation(vm), std::nullopt);
    ASSERT_TRUE(journal->finish({.operation = work.operation}, VmChange{vm, std::nullopt}));
  }
  EXPECT_EQ(open()->applied(vm), std::nullopt);
}

TEST_F(JournalTest, PoolsAndNetworksAreRemembered) {
  const Remembered what{.pools = {{.id = make_id<model::PoolId>(random_), .name = "local", .path = "/pool"}},
                        .networks = {{.id = make_id<model::NetworkId>(random_), .name = "default"}}};
  ASSERT_TRUE(remember(*open(), what.pools, what.networks));
  const auto journal = open();
  const auto known = remembered(*journal);
  EXPECT_EQ(known.pools, what.pools);
  EXPECT_EQ(known.networks, what.networks);
  const auto revision = store_->revision();
  ASSERT_TRUE(remember(*journal, what.pools, what.networks));
  ASSERT_TRUE(remember(*journal, what.pools.front()));
  ASSERT_TRUE(remember(*journal, what.networks.front()));
  EXPECT_EQ(store_->revision(), revision);  // nothing new: nothing written

  const model::Network second{.id = make_id<model::NetworkId>(random_), .name = "second"};
  ASSERT_TRUE(remember(*journal, second));
  ASSERT_TRUE(remember(*journal, what.pools, {second}));  // the manager has 'default' no more
  EXPECT_EQ(remembered(*open()).networks, std::vector{second});
  EXPECT_EQ(remembered(*open()).gone_networks, what.networks);
  ASSERT_TRUE(forget(*journal, what.networks.front().id));
  ASSERT_TRUE(forget(*journal, what.pools.front().id));
  EXPECT_TRUE(remembered(*journal).gone_networks.empty());
  EXPECT_TRUE(remembered(*journal).pools.empty());
}

TEST_F(JournalTest, DamageIsNamed) {
  ASSERT_TRUE(store_->commit(state::Transaction().put("assignment/x", "not json")));
  const auto journal = Journal::open(*store_);
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::data_corrupt);
  EXPECT_NE(journal.error().message.find("'assignment/x'"), std::string::npos) << journal.error().message;
}

}  // namespace
}  // namespace bridgehead::host_agent
