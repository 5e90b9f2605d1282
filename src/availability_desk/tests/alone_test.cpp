// Guests that their node stops when it is alone start elsewhere by time.
#include "availability_desk/tests/desk_fixture.h"

namespace bridgehead::availability_desk::testing {
namespace {

class AloneTest : public DeskTest {
 protected:
  AloneTest() {
    auto edit = inventory_->edit();
    for (const auto& one : nodes_) edit.remove(inventory_->find<model::Bmc>(one.id));
    require(inventory_->commit(std::move(edit)).has_value(), "no change");
    set_when_alone(model::WhenAlone::stop);
    give_watchdog(0);
    pass(10);
  }
  StoppingAgent& agent() { return agents_.at(nodes_[0].id); }
  void cut_off() {
    nodes_[0].speaks = nodes_[0].answers = nodes_[0].reads_pool = false;
    cut_at_ = time_;
  }
  BootTime cut_at_;
};

TEST_F(AloneTest, AGuestThatWasStoppedStartsElsewhereWithoutPowerControl) {
  EXPECT_EQ(terms(), "stop");
  cut_off();
  pass(9);
  ASSERT_TRUE(agent().stopped_at) << "four seconds before twelve have passed";
  EXPECT_EQ(vm().node, nodes_[0].id);
  for (int second = 0; second < 120 && vm().node == nodes_[0].id; ++second) pass(1);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_TRUE(vm().past_leases->by_time) << "so its stamp has the last word";
  EXPECT_GT(time_ - cut_at_, availability::lapses_after({}));
  EXPECT_TRUE(of(0).question.empty());
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(claims_[nodes_[0].id].size(), 0U) << "it is over";
}

TEST_F(AloneTest, AManagerThatIsAwayStopsNobody) {
  desk_.reset();
  for (int second = 0; second < 60; ++second) {
    time_ += std::chrono::seconds(1);
    run_agents();
  }
  EXPECT_FALSE(agent().stopped_at);
  start_manager();
  pass(60);
  EXPECT_FALSE(agent().stopped_at);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(terms(), "stop");
}

TEST_F(AloneTest, WithoutAClaimInThePoolNothingEndsByTime) {
  pool_writable_ = false;
  nodes_[0].speaks = nodes_[0].answers = false;
  pass(120);
  EXPECT_FALSE(agent().stopped_at) << "it reads in the pool that nobody claims its guests";
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_THAT(of(0).question, HasSubstr("no other node could write"));
}

TEST_F(AloneTest, KeepCountsAtOnce) {
  set_when_alone(model::WhenAlone::keep);
  cut_off();
  pass(1);
  EXPECT_EQ(terms(), "keep");
  pass(120);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_FALSE(of(0).question.empty());
}

TEST_F(AloneTest, ANodeThatComesBackInTimeKeepsItsGuest) {
  nodes_[0].speaks = nodes_[0].answers = false;
  pass(25);
  nodes_[0].speaks = nodes_[0].answers = true;
  pass(30);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(claims_[nodes_[0].id].size(), 0U);
}

TEST_F(DeskTest, WithoutAWatchdogAGuestIsKeptAndTheReasonTold) {
  set_when_alone(model::WhenAlone::stop);
  pass(10);
  EXPECT_EQ(terms(), "keep");
  EXPECT_THAT(desk_->status().guests.at(0).not_stopped, HasSubstr("is it of before?"));
}

}  // namespace
}  // namespace bridgehead::availability_desk::testing
