// Nodes that plans switch off: the machine follows the plan, and comes back for whoever needs it.
#include "reconcile/sleeping_nodes.h"

#include "model/enum_names.h"
#include "reconcile/cluster.h"
#include "reconcile/commands/power.h"
#include "reconcile/operations/records.h"
#include "reconcile/planning/auto_planner.h"
#include "reconcile/planning/snapshot.h"
#include "reconcile/tests/applied_plans.h"

namespace bridgehead::reconcile {
namespace {

using namespace std::chrono_literals;
using model::MachinePower;
using model::OperationState;
using testing::PlanActionKind;
using testing::PlanActionState;
using testing::PlanState;

class SleepingNodes : public testing::AppliedPlans {
 protected:
  SleepingNodes() {
    for (const char* name : {"node1", "node2"}) add_bmc(name, "ipmi");
  }
  void add_bmc(const std::string& name, const std::string& driver) {
    EXPECT_TRUE(set_bmc(sim.commander(), sim.caller(), name,
                        {.driver = driver,
                         .address = driver == "wol" ? "" : "bmc-of-" + name,
                         .user = "",
                         .options = {{"mac", name}}}));
  }
  model::Bmc bmc(const std::string& name) { return sim.inventory().find<model::Bmc>(node(name).id)->value; }
  // What is open of node.power for it, "" = nothing.
  std::string asked(const std::string& name) {
    const auto operation = switching(sim.inventory(), node(name));
    return operation ? operations::parameter<std::string>(operation->value, "action", {}) : "";
  }
  testing::FakeAgent& agent(const std::string& name) {
    const auto id = node(name).id;
    return **std::find_if(sim.agents.begin(), sim.agents.end(), [&](const auto& one) { return one->id == id; });
  }
  // As the power desk ends it.
  void switched(const std::string& name, OperationState how = OperationState::succeeded) {
    const auto record = switching(sim.inventory(), node(name));
    ASSERT_TRUE(record);
    auto operation = record->value;
    const auto action = operations::parameter<std::string>(operation, "action", {});
    const bool on = action == "on";
    operation.state = how;
    operation.started = sim.clock.now();
    operation.finished = sim.clock.now();
    if (how != OperationState::succeeded) operation.error = Error{ErrorCode::unavailable, "its BMC doesn't answer", {}};
    auto known = sim.inventory().find<model::Bmc>(node(name).id);
    auto value = known->value;
    value.power.state = how != OperationState::succeeded ? MachinePower::unknown
                        : on                             ? MachinePower::on
                                                         : MachinePower::off;
    value.power.time = operation.finished;
    value.waking_since = on ? operation.started : Timestamp{};
    if (action == "sleep" && how == OperationState::succeeded) value.asleep_since = operation.started;
    auto edit = sim.inventory().edit();
    edit.update(record, operation);
    edit.update(known, value);
    ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
    if (!on && how == OperationState::succeeded) lose(name);
  }
  void lose(const std::string& name) {
    sim.disconnect(agent(name));
    for (int i = 0; i < 8; ++i) {
      sim.advance(5s);
      sim.hear_agents();
      sim.pass();
    }
    ASSERT_EQ(node(name).state, model::NodeState::unreachable);
  }
  void put_to_sleep(const std::string& name) {
    apply(propose({power(PlanActionKind::sleep, name)}));
    sim.pass();
    switched(name);
    sim.pass();
  }
  void comes_back(const std::string& name) {
    sim.connect(agent(name));
    exchange();
    exchange();
  }
  scheduler::Host planned(const std::string& name) {
    const auto cluster = planning_snapshot(
        {.inventory = sim.inventory(), .use = nullptr, .limits = sim.commander().limits, .now = sim.clock.now()}, {});
    return *std::find_if(cluster.hosts.begin(), cluster.hosts.end(),
                         [&](const auto& host) { return host.name == name; });
  }
};

TEST_F(SleepingNodes, APlanSwitchesMachinesOffAndWaits) {
  const auto name = propose({power(PlanActionKind::sleep, "node2")});
  apply(name);
  sim.pass();
  EXPECT_EQ(asked("node2"), "off");
  EXPECT_TRUE(node("node2").to_be_off);
  EXPECT_EQ(plan(name).state, PlanState::applying) << "until it is proven";
  switched("node2");
  sim.pass();
  EXPECT_EQ(plan(name).state, PlanState::applied);
  EXPECT_EQ(planned("node2").power, scheduler::HostPower::off);
}

TEST_F(SleepingNodes, WhatCouldNotBeSwitchedOffIsNotTakenForOff) {
  const auto name = propose({power(PlanActionKind::sleep, "node2")});
  apply(name);
  sim.pass();
  switched("node2", OperationState::failed);
  sim.pass();
  EXPECT_EQ(plan(name).state, PlanState::failed);
  EXPECT_NE(plan(name).message.find("its BMC doesn't answer"), std::string::npos) << plan(name).message;
  EXPECT_FALSE(node("node2").to_be_off);
  EXPECT_EQ(planned("node2").power, scheduler::HostPower::on);
}

TEST_F(SleepingNodes, WakingEndsWhenTheNodeIsReadyAndIsMeasured) {
  put_to_sleep("node2");
  EXPECT_EQ(planned("node2").power_model.wake, scheduler::PowerModel{}.wake) << "never measured";
  const auto name = propose({power(PlanActionKind::wake, "node2")});
  apply(name);
  sim.pass();
  EXPECT_EQ(asked("node2"), "on");
  EXPECT_EQ(planned("node2").power, scheduler::HostPower::waking);
  switched("node2");
  sim.pass();
  EXPECT_EQ(plan(name).state, PlanState::applying) << "its agent isn't there yet";
  sim.advance(47s);
  sim.hear_agents();
  comes_back("node2");
  EXPECT_EQ(plan(name).state, PlanState::applied);
  EXPECT_EQ(bmc("node2").wake, 47s);
  EXPECT_EQ(planned("node2").power, scheduler::HostPower::on);
  EXPECT_EQ(planned("node2").power_model.wake, scheduler::Seconds(47));
}

TEST_F(SleepingNodes, AMachineThatWasSeenToSleepIsPutToSleepUntilItLosesItsMemory) {
  const auto change = [&](auto&& how) {
    const auto known = sim.inventory().find<model::Bmc>(node("node2").id);
    auto value = known->value;
    how(value);
    auto edit = sim.inventory().edit();
    edit.update(known, value);
    ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  };
  change([](auto& bmc) { bmc.sleep = model::SleepTrial::works; });
  const auto sleeps_and_is_woken = [&](std::uint64_t uptime) {
    put_to_sleep("node2");
    sim.advance(600s);
    apply(propose({power(PlanActionKind::wake, "node2")}));
    sim.pass();
    ASSERT_EQ(asked("node2"), "on");
    switched("node2");
    sim.advance(4s);
    agent("node2").uptime_seconds = uptime;
    comes_back("node2");
  };
  apply(propose({power(PlanActionKind::sleep, "node2")}));
  sim.pass();
  EXPECT_EQ(asked("node2"), "sleep");
  switched("node2");
  sim.pass();
  apply(propose({power(PlanActionKind::wake, "node2")}));
  sim.pass();
  switched("node2");
  sim.advance(4s);
  agent("node2").uptime_seconds = 100'000;
  comes_back("node2");
  EXPECT_EQ(bmc("node2").sleep, model::SleepTrial::works);
  EXPECT_EQ(bmc("node2").sleep_wake, 4s);
  EXPECT_EQ(bmc("node2").wake, 0s) << "it didn't boot";
  EXPECT_EQ(planned("node2").power_model.wake, scheduler::Seconds(4));

  sleeps_and_is_woken(30);
  EXPECT_EQ(bmc("node2").sleep, model::SleepTrial::fails);
  EXPECT_NE(bmc("node2").sleep_message.find("had to boot"), std::string::npos);
  EXPECT_EQ(bmc("node2").asleep_since, Timestamp{});
  apply(propose({power(PlanActionKind::sleep, "node2")}));
  sim.pass();
  EXPECT_EQ(asked("node2"), "off");
}

TEST_F(SleepingNodes, WhoWakesByItselfIsTriedToo) {
  ASSERT_TRUE(switch_node(sim.commander(), sim.caller(), "node2", {.action = model::MachinePowerAction::sleep}));
  switched("node2");
  EXPECT_NE(bmc("node2").asleep_since, Timestamp{});
  sim.advance(60s);
  agent("node2").uptime_seconds = 100'000;
  comes_back("node2");
  EXPECT_EQ(bmc("node2").sleep, model::SleepTrial::works);
  EXPECT_EQ(bmc("node2").sleep_wake, 0s) << "nobody knows when it began to wake";
  EXPECT_EQ(bmc("node2").asleep_since, Timestamp{});
}

TEST_F(SleepingNodes, WakingIsGivenUp) {
  put_to_sleep("node2");
  const auto name = propose({power(PlanActionKind::wake, "node2"), move("web-0", "node2", {0})});
  apply(name);
  sim.pass();
  switched("node2");
  sim.pass();
  sim.advance(kLongestWake + 1s);
  sim.hear_agents();
  sim.pass();
  EXPECT_EQ(plan(name).state, PlanState::failed);
  EXPECT_NE(plan(name).message.find("isn't ready after 15 min"), std::string::npos) << plan(name).message;
  EXPECT_EQ(where("web-0"), "node0");
  EXPECT_EQ(planned("node2").power, scheduler::HostPower::on) << "on, as far as we know, and not ready";
  EXPECT_FALSE(planned("node2").ready);
}

TEST_F(SleepingNodes, ACancelledPlanDoesNotWaitForANodeToWake) {
  put_to_sleep("node2");
  const auto name = propose({power(PlanActionKind::wake, "node2")});
  apply(name);
  sim.pass();
  switched("node2");
  sim.pass();
  ASSERT_TRUE(cancel_plan(sim.commander(), sim.caller(), name));
  sim.pass();
  EXPECT_EQ(plan(name).state, PlanState::cancelled);
  EXPECT_EQ(planned("node2").power, scheduler::HostPower::waking) << "it comes all the same";
}

TEST_F(SleepingNodes, AGuestThatFitsNowhereElseWakesOne) {
  put_to_sleep("node2");
  ASSERT_TRUE(update_node(sim.commander(), sim.caller(), "node1", {.schedulable = false}));
  ASSERT_TRUE(update_node(sim.commander(), sim.caller(), "node0", {.schedulable = false}));
  create("late", "");
  sim.pass();
  EXPECT_EQ(asked("node2"), "on");
  EXPECT_EQ(vm("late").node, model::NodeId()) << "it waits";
  switched("node2");
  sim.advance(sim.options.placement_patience * 2);  // a server takes its time
  sim.hear_agents();
  sim.pass();
  EXPECT_EQ(vm("late").node, model::NodeId());
  EXPECT_FALSE(vm("late").deleting);
  agent("node2").pools_are_mounted = false;
  comes_back("node2");
  sim.advance(sim.options.placement_patience * 2);
  sim.hear_agents();
  exchange();
  EXPECT_EQ(vm("late").node, model::NodeId()) << "it waits for its pool, too";
  EXPECT_FALSE(vm("late").deleting);
  agent("node2").pools_are_mounted = true;
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(where("late"), "node2");
}

TEST_F(SleepingNodes, AreTakenLast) {
  put_to_sleep("node2");
  for (int i = 0; i < 4; ++i) create(fmt::format("more-{}", i), "");
  ASSERT_TRUE(sim.settle());
  EXPECT_TRUE(node("node2").to_be_off);
  EXPECT_TRUE(sim.inventory().vms_on_node(node("node2").id).empty());
}

TEST_F(SleepingNodes, AreBroughtBackForTheirOwnGuests) {
  create("own", "node2");
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(power_vm(sim.commander(), sim.caller(), "own", {.action = PowerAction::stop}));
  ASSERT_TRUE(sim.settle());
  put_to_sleep("node2");
  AutoPlanner planner(sim.commander());
  ASSERT_TRUE(planner.look());
  EXPECT_EQ(asked("node2"), "") << "a guest that is off needs no node";
  ASSERT_TRUE(power_vm(sim.commander(), sim.caller(), "own", {.action = PowerAction::start}));
  ASSERT_TRUE(planner.look());
  EXPECT_EQ(asked("node2"), "on");
  EXPECT_FALSE(node("node2").to_be_off);
}

TEST_F(SleepingNodes, WakeOnLanMarksOnlyAndWakes) {
  add_bmc("node1", "wol");
  const auto name = propose({power(PlanActionKind::sleep, "node1")});
  apply(name);
  sim.pass();
  EXPECT_EQ(plan(name).state, PlanState::applied);
  EXPECT_EQ(asked("node1"), "");
  EXPECT_TRUE(node("node1").to_be_off);
  lose("node1");  // its administrator has shut it down
  apply(propose({power(PlanActionKind::wake, "node1")}));
  sim.pass();
  EXPECT_EQ(asked("node1"), "on");
}

// Whatever a manager did when it was killed, the machine is asked for once.
TEST_F(SleepingNodes, OutliveTheManagersDeathAtAnyCommit) {
  for (std::size_t after = 0; after < 6; ++after) {
    const auto name = propose({power(PlanActionKind::sleep, "node2")});
    apply(name);
    sim.kill_manager_after(after);
    for (int i = 0; i < 4 && !sim.manager_dead(); ++i) sim.pass();
    sim.start_manager();
    sim.pass();
    ASSERT_EQ(asked("node2"), "off") << after;
    EXPECT_EQ(open("node.power"), 1u) << after;
    switched("node2");
    sim.pass();
    EXPECT_EQ(plan(name).state, PlanState::applied) << after;
    apply(propose({power(PlanActionKind::wake, "node2")}));
    sim.pass();
    switched("node2");
    comes_back("node2");
    ASSERT_TRUE(sim.settle()) << after << ": " << sim.check();
  }
}

}  // namespace
}  // namespace bridgehead::reconcile
