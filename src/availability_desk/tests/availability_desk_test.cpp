// What becomes of silent nodes and their guests, by power control, persons, and over the manager's death.
#include "availability_desk/tests/desk_fixture.h"
#include "model/enum_names.h"

namespace bridgehead::availability_desk::testing {
namespace {

TEST_F(DeskTest, NothingHappensWhileAllAreHeard) {
  pass(120);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_EQ(of(0).stage, "well");
  ASSERT_EQ(desk_->status().guests.size(), 1U);
  EXPECT_EQ(desk_->status().guests[0].terms, "keep");
}

TEST_F(DeskTest, ADeadNodesGuestStartsElsewhere) {
  die(0);
  pass(60);
  EXPECT_GT(orders_, 0);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_GT(vm().lease, vm_.lease);
  EXPECT_EQ(vm().status.phase, model::VmPhase::starting);
  ASSERT_EQ(restarts().size(), 1U);
  EXPECT_EQ(of(0).stage, "down");
  // Once, and its node's return changes nothing.
  const auto there = vm();
  nodes_[0].on = nodes_[0].answers = true;
  pass(60);
  EXPECT_EQ(of(0).stage, "well");
  EXPECT_EQ(vm().node, there.node);
  EXPECT_EQ(vm().lease, there.lease);
}

TEST_F(DeskTest, ADeadNodesLocksAreFreedBeforeItsGuestStartsElsewhere) {
  use_pool(model::PoolDriver::moosefs);
  die(0);
  pass(60);
  ASSERT_EQ(asked_to_free_.size(), 1U);
  EXPECT_NE(asked_to_free_[0].by, nodes_[0].id);
  EXPECT_EQ(asked_to_free_[0].addresses, std::vector<std::string>{"10.0.0.1"});
  EXPECT_EQ(asked_to_free_[0].guest_was_on, nodes_[0].id);
  EXPECT_EQ(orders_, 1);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, ServersThatDontLetGoAreAskedAgainButNotForever) {
  use_pool(model::PoolDriver::moosefs);
  servers_let_go_ = false;
  die(0);
  pass(70);
  EXPECT_GE(asked_to_free_.size(), 2U);
  EXPECT_EQ(vm().node, nodes_[0].id);
  pass(60);
  EXPECT_NE(vm().node, nodes_[0].id) << "its start is tried until they let go by themselves";
}

class LocksOfADownNodeTest : public DeskTest, public ::testing::WithParamInterface<model::PoolDriver> {};

TEST_P(LocksOfADownNodeTest, AreTriedOnOnlyWhereANewClientIsSafe) {
  use_pool(GetParam());
  servers_let_go_ = false;
  die(0);
  for (int i = 0; i < 300 && of(0).stage != "down"; ++i) pass(1);
  ASSERT_EQ(of(0).stage, "down");
  const auto asked = asked_to_free_.size();
  EXPECT_GE(asked, 2U) << "until it was down";
  pass(180);
  EXPECT_EQ(asked_to_free_.size() > asked, GetParam() == model::PoolDriver::moosefs);
}

INSTANTIATE_TEST_SUITE_P(Drivers, LocksOfADownNodeTest,
                         ::testing::Values(model::PoolDriver::moosefs, model::PoolDriver::cephfs,
                                           model::PoolDriver::lustre),
                         [](const auto& driver) { return std::string(model::to_string(driver.param)); });

TEST_F(DeskTest, NobodyMayRunItBetweenOffAndItsNewPlace) {
  change_vm([](model::Vm& vm) { vm.spec.memory = 100_GiB; });  // fits nowhere
  die(0);
  pass(60);
  EXPECT_EQ(vm().lease, 0U);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_TRUE(restarts().empty());
  EXPECT_THAT(desk_->status().guests.at(0).waits_for, HasSubstr("of memory"));
  change_vm([](model::Vm& vm) { vm.spec.memory = 1_GiB; });
  pass(5);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_GT(vm().lease, vm_.lease);
}

TEST_F(DeskTest, AGuestWithoutHaWaitsForItsNode) {
  change_vm([](model::Vm& vm) { vm.spec.ha = model::HaMode::none; });
  change_vm([](model::Vm& vm) { vm.status.waits_for_manager = false; });
  pass(3);
  die(0);
  pass(120);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, vm_.lease);
}

TEST_F(DeskTest, AGuestThatItsAgentMayStartByItselfStays) {
  change_vm([](model::Vm& vm) { vm.status.waits_for_manager = false; });
  pass(3);
  die(0);
  pass(120);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_THAT(desk_->status().guests.at(0).not_protected, HasSubstr("agent"));
}

TEST_F(DeskTest, AHungAgentIsSwitchedOffAfterAWhile) {
  nodes_[0].speaks = false;
  pass(20);
  EXPECT_EQ(orders_, 0);
  pass(60);
  EXPECT_FALSE(nodes_[0].on);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, APowerControlThatLiesIsFoundOutAndAPersonAsked) {
  nodes_[0].speaks = false;
  nodes_[0].control_lies = true;
  pass(120);
  EXPECT_TRUE(nodes_[0].on);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_TRUE(of(0).distrusted);
  EXPECT_THAT(of(0).question, HasSubstr("answers other nodes"));
  // It comes back by itself: the question is gone, the guest was never touched.
  nodes_[0].speaks = true;
  pass(3);
  EXPECT_EQ(of(0).question, "");
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_FALSE(desk_->confirm_off(nodes_[0].id, "anna"));
  EXPECT_TRUE(desk_->trust(nodes_[0].id, "anna"));
  EXPECT_FALSE(of(0).distrusted);
  EXPECT_FALSE(desk_->trust(nodes_[0].id, "anna"));
}

TEST_F(DeskTest, APersonsWordStandsInForAPowerControlThatIsSilent) {
  nodes_[0].control_answers = false;
  die(0);
  pass(90);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_THAT(of(0).question, HasSubstr("Switch it off by hand"));
  EXPECT_FALSE(desk_->confirm_off(nodes_[1].id, "anna"));
  ASSERT_TRUE(desk_->confirm_off(nodes_[0].id, "anna"));
  EXPECT_EQ(vm().lease, 0U);  // kept before it returned
  pass(10);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, AKilledManagerGoesOnWhereverItWas) {
  for (int moment = 0; moment < 40; ++moment) {
    SCOPED_TRACE(moment);
    const auto before = vm();
    const auto home = before.node;
    node(home).on = node(home).answers = false;
    pass(moment);
    start_manager();
    pass(100);
    EXPECT_NE(vm().node, home);
    EXPECT_GT(vm().lease, before.lease);
    node(home).on = node(home).answers = true;
    // As the agents would: what was asked for is done.
    for (const auto& one : inventory_->operations_of(vm_.id.str())) {
      if (one->value.terminal()) continue;
      auto done = one->value;
      done.state = model::OperationState::succeeded;
      auto edit = inventory_->edit();
      edit.update(one, done);
      ASSERT_TRUE(inventory_->commit(std::move(edit)));
    }
    change_vm([](model::Vm& vm) { vm.status.phase = model::VmPhase::running; });
    pass(700);  // so long that the guest isn't blamed for it, and no flapping either
  }
}

TEST_F(DeskTest, ManyAtOnceWaitForAPerson) {
  die(0);
  die(1);
  pass(90);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_THAT(desk_->status().storm_question, HasSubstr("2 of 3 nodes"));
  ASSERT_TRUE(desk_->go_on("anna"));
  pass(90);
  EXPECT_EQ(vm().node, nodes_[2].id);
  EXPECT_FALSE(desk_->go_on("anna"));
}

TEST_F(DeskTest, WhatIsUndecidedIsWaitedFor) {
  auto move = begin_move(nodes_[1].id, nodes_[2].id);
  pass(3);
  die(0);
  pass(90);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_TRUE(restarts().empty());
  EXPECT_THAT(desk_->status().guests.at(0).waits_for, HasSubstr("vm.migrate"));
  end(move);
  pass(10);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, AMoveWhoseSourceIsOffIsCancelledAndItsEndWaitedFor) {
  auto move = begin_move(nodes_[0].id, nodes_[1].id);
  pass(3);
  die(0);
  pass(10);
  EXPECT_FALSE(inventory_->find<model::Operation>(move.id)->value.cancel_requested) << "nothing is proven yet";
  pass(80);
  EXPECT_TRUE(inventory_->find<model::Operation>(move.id)->value.cancel_requested);
  EXPECT_EQ(vm().lease, 0U);
  EXPECT_TRUE(restarts().empty()) << "the target may have it";
  end(move);
  pass(10);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_EQ(restarts().size(), 1U);
}

TEST_F(DeskTest, AMoveWithItsDisksIsForAPerson) {
  auto move =
      begin_move(nodes_[0].id, nodes_[1].id,
                 {{"copies", nlohmann::json::array({{{"image", "i"}, {"from", "p"}, {"to", "q"}, {"room", 1}}})}});
  pass(3);
  die(0);
  pass(90);
  EXPECT_FALSE(inventory_->find<model::Operation>(move.id)->value.cancel_requested);
}

}  // namespace
}  // namespace bridgehead::availability_desk::testing
