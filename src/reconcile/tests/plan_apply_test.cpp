// What becomes of a plan that is carried out: in order, within limits, when it is cancelled, when the world changes,
// when the manager is killed.
#include "reconcile/commands/migration.h"
#include "reconcile/tests/applied_plans.h"

namespace bridgehead::reconcile {
namespace {

using model::PlanActionKind;
using model::PlanActionState;
using model::PlanState;

using PlanApply = testing::AppliedPlans;

TEST_F(PlanApply, MovesGuestsInOrderAndMarksTheEmptyNode) {
  const auto name = propose({move("web-0", "node1"), move("web-1", "node2", {0}), move("web-2", "node1", {1}),
                             move("web-3", "node2"), power(PlanActionKind::sleep, "node0", {0, 1, 2, 3})});
  const auto operation = apply(name);
  EXPECT_EQ(plan(name).state, PlanState::applying);
  sim.pass();
  EXPECT_EQ(open("vm.migrate"), 2u) << "those that come after another one wait";
  EXPECT_FALSE(node("node0").to_be_off);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  EXPECT_EQ(plan(name).state, PlanState::applied);
  EXPECT_EQ(where("web-0"), "node1");
  EXPECT_EQ(where("web-1"), "node2");
  EXPECT_TRUE(node("node0").to_be_off);

  const auto again = propose({power(PlanActionKind::wake, "node0")});
  EXPECT_EQ(now(apply(again)).state, model::OperationState::pending);
  ASSERT_TRUE(sim.settle());
  EXPECT_FALSE(node("node0").to_be_off);
}

TEST_F(PlanApply, KeepsToTheMovesOfANode) {
  const auto name =
      propose({move("web-0", "node1"), move("web-1", "node2"), move("web-2", "node1"), move("web-3", "node2")}, 1);
  apply(name);
  for (int i = 0; i < 200 && plan(name).state == PlanState::applying; ++i) {
    exchange();
    EXPECT_LE(open("vm.migrate"), 1u) << "all leave the same node";
    sim.advance(std::chrono::milliseconds(500));
  }
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(plan(name).state, PlanState::applied);
}

TEST_F(PlanApply, IsCancelledSafely) {
  const auto name = propose({move("web-0", "node1"), move("web-1", "node2", {0})});
  const auto operation = apply(name);
  exchange();
  EXPECT_EQ(open("vm.migrate"), 1u);
  ASSERT_TRUE(cancel_plan(sim.commander(), sim.caller(), name));
  sim.pass();
  EXPECT_EQ(plan(name).state, PlanState::applying) << "the move under way ends first";
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled);
  EXPECT_EQ(plan(name).state, PlanState::cancelled);
  EXPECT_EQ(where("web-0"), "node1");
  EXPECT_EQ(where("web-1"), "node0");
  EXPECT_EQ(plan(name).actions[1].state, PlanActionState::dropped);
  EXPECT_FALSE(cancel_plan(sim.commander(), sim.caller(), name));
}

TEST_F(PlanApply, EndsWhenTheWorldChanges) {
  const auto name = propose({move("web-0", "node1"), move("web-1", "node2", {0})});
  const auto operation = apply(name);
  exchange();
  ASSERT_TRUE(update_node(sim.commander(), sim.caller(), "node2", {.schedulable = false}));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(plan(name).state, PlanState::superseded);
  EXPECT_NE(plan(name).message.find("node 'node2' takes no guests"), std::string::npos) << plan(name).message;
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  EXPECT_EQ(where("web-0"), "node1");
  EXPECT_EQ(where("web-1"), "node0");
}

TEST_F(PlanApply, EndsWhenAMoveFails) {
  const auto name = propose({move("web-0", "node1"), move("web-1", "node2", {0})});
  apply(name);
  exchange(true);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(plan(name).state, PlanState::failed);
  EXPECT_EQ(plan(name).actions[0].state, PlanActionState::failed);
  EXPECT_EQ(plan(name).actions[1].state, PlanActionState::dropped);
  const auto basis = plan_basis(sim.commander(), PlanScope::shown);
  const auto guest = std::find_if(basis.cluster.guests.begin(), basis.cluster.guests.end(),
                                  [](const auto& one) { return one.name == "web-0"; });
  EXPECT_FALSE(guest->may_move) << "not at once again";
  EXPECT_NE(guest->why_not.find("its last move failed"), std::string::npos) << guest->why_not;
}

TEST_F(PlanApply, IsRefusedWhenTheWorldHasChanged) {
  const auto name = propose({move("web-0", "node1"), move("web-1", "node2")});
  ASSERT_TRUE(migrate_vm(sim.commander(), sim.caller(), "web-0", {.to = "node2"}));
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(update_node(sim.commander(), sim.caller(), "node2", {.schedulable = false}));
  const auto refused = apply_plan(sim.commander(), sim.caller(), name);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  EXPECT_NE(refused.error().message.find("VM 'web-0' is on node 'node2' now"), std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find("node 'node2': it is closed for new guests"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(apply_plan(sim.commander(), sim.caller(), "nonsense").error().code, ErrorCode::not_found);
}

TEST_F(PlanApply, OneAtATime) {
  const auto first = propose({move("web-0", "node1")});
  const auto second = propose({move("web-1", "node1")});
  apply(first);
  const auto refused = apply_plan(sim.commander(), sim.caller(), second);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("plan1 is being carried out"), std::string::npos);
  ASSERT_TRUE(sim.settle());
  apply(second);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(plan(second).state, PlanState::applied);
}

// Killed at every commit in turn, it goes on and ends the same.
TEST_F(PlanApply, OutlivesTheManagersDeathAtAnyCommit) {
  for (std::size_t after = 0; after < 24; ++after) {
    const std::string there = where("web-0") == "node0" ? "node1" : "node0";
    const auto name = propose({move("web-0", there), move("web-1", there, {0}), move("web-2", there, {0})});
    apply(name);
    sim.kill_manager_after(after);
    for (int i = 0; i < 60 && !sim.manager_dead(); ++i) exchange();
    sim.start_manager();
    ASSERT_TRUE(sim.settle()) << after << ": " << sim.check();
    EXPECT_EQ(sim.check(), "") << after;
    EXPECT_EQ(plan(name).state, PlanState::applied) << after << ": " << plan(name).message;
    for (const char* guest : {"web-0", "web-1", "web-2"}) EXPECT_EQ(where(guest), there) << after;
  }
}

TEST_F(PlanApply, WhatAPlanWasMadeFromIsKeptAndReadBackTheSame) {
  const auto name = propose({move("web-0", "node1")});
  const auto text = encode_basis(*sim.commander().desk.find(name)->basis);
  apply(name);
  const auto basis = find_basis(sim.commander(), name);
  ASSERT_TRUE(basis) << basis.error().describe();
  EXPECT_EQ(encode_basis(*basis), text);
  EXPECT_EQ(basis->cluster.hosts.size(), 3u);
  EXPECT_EQ(basis->cluster.guests.size(), 4u);
  EXPECT_FALSE(decode_basis("{}"));
}

}  // namespace
}  // namespace bridgehead::reconcile
