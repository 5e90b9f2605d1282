// What becomes of a node image that is rolled out over nodes with guests.
#include "reconcile/commands/plans.h"
#include "reconcile/operations/rollout_state.h"
#include "reconcile/tests/maintained_nodes.h"

namespace bridgehead::reconcile {
namespace {

using model::OperationState;

class Rollout : public testing::MaintainedNodes {
 protected:
  model::Operation roll_out(RolloutNodeImage request = {.select = {{"node*"}}}) {
    const auto accepted = rollout_node_image(sim.commander(), sim.caller(), "debian-12:2", request);
    EXPECT_TRUE(accepted) << accepted.error().describe();
    return accepted ? accepted->operation : model::Operation{};
  }
  std::string refused(const std::string& image = "debian-12:2", RolloutNodeImage request = {.select = {{"node*"}}}) {
    const auto before = sim.inventory().revision();
    const auto accepted = rollout_node_image(sim.commander(), sim.caller(), image, request);
    EXPECT_FALSE(accepted);
    EXPECT_EQ(sim.inventory().revision(), before) << "nothing was changed";
    return accepted ? "" : accepted.error().describe();
  }
  std::string story(const model::Operation& operation) {
    std::string text;
    for (const auto& one : operations::rollout_of(now(operation)).nodes) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", one.name, one.state);
    }
    return text;
  }
  std::size_t unavailable() {
    return static_cast<std::size_t>(
        std::count_if(names.begin(), names.end(), [&](const auto& name) { return !is_open(name); }));
  }
  std::string image_of(const std::string& name) { return node(name).netboot->image; }
};

TEST_F(Rollout, RenewsOneNodeAfterTheOther) {
  const auto operation = roll_out();
  std::size_t most = 0;
  ASSERT_TRUE(ends(operation, [&] { most = std::max(most, unavailable()); }));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(most, 1u);
  EXPECT_EQ(story(operation), "node0 done, node1 done, node2 done");
  for (const auto& name : names) {
    EXPECT_EQ(image_of(name), "debian-12:2");
    EXPECT_TRUE(is_open(name));
    EXPECT_EQ(switched[name], 1);
  }
  EXPECT_NE(operations::rollout_of(now(operation)).refill, "");
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  for (const auto& name : names) EXPECT_FALSE(guests_on(name).empty()) << name << " got guests again";
  for (const char* guest : {"web-0", "web-1", "web-2", "web-3"}) {
    EXPECT_EQ(vm(guest).status.phase, model::VmPhase::running);
  }
  EXPECT_NE(refused().find("all of these nodes run debian-12:2 already"), std::string::npos);
}

TEST_F(Rollout, AfterTheCanarySeveralAtOnce) {
  const auto operation = roll_out({.select = {{"node*"}}, .max_unavailable = 2});
  std::size_t most = 0;
  bool alone = true;
  ASSERT_TRUE(ends(operation, [&] {
    most = std::max(most, unavailable());
    if (image_of("node0") != "debian-12:2" || !is_open("node0")) alone = alone && unavailable() <= 1;
  }));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(most, 2u);
  EXPECT_TRUE(alone) << "until the canary is well";
}

TEST_F(Rollout, ABrokenImageStopsAfterTheCanaryAndIsTakenBack) {
  broken.insert("debian-12:2");
  const auto operation = roll_out({.select = {{"node*"}}, .boot_deadline_seconds = 120});
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(now(operation).state, OperationState::failed);
  EXPECT_NE(state_of(operation).find("it runs debian-12:1 again (0 of 3 nodes run debian-12:2)"), std::string::npos)
      << state_of(operation);
  EXPECT_EQ(story(operation), "node0 failed, node1 left, node2 left");
  for (const auto& name : names) {
    EXPECT_EQ(image_of(name), "debian-12:1");
    EXPECT_TRUE(is_open(name));
  }
  EXPECT_EQ(switched["node0"], 2);
  EXPECT_EQ(switched["node1"], 0);
}

TEST_F(Rollout, AMachineThatNeverComesBackStopsIt) {
  dead.insert("node1");
  const auto operation = roll_out({.select = {{"node*"}}, .boot_deadline_seconds = 120});
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(story(operation), "node0 done, node1 failed, node2 left");
  EXPECT_EQ(image_of("node0"), "debian-12:2") << "it is well with it";
  EXPECT_EQ(image_of("node1"), "debian-12:1");
  EXPECT_FALSE(is_open("node1"));
  EXPECT_TRUE(is_open("node2"));
}

TEST_F(Rollout, CancelledItEndsAfterTheNodeUnderWay) {
  const auto operation = roll_out();
  bool asked_to = false;
  ASSERT_TRUE(ends(operation, [&] {
    if (asked_to || !node("node0").draining) return;
    asked_to = true;
    ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  }));
  EXPECT_EQ(state_of(operation), "cancelled: cancelled: 1 of 3 nodes run debian-12:2");
  EXPECT_EQ(story(operation), "node0 done, node1 left, node2 left");
}

TEST_F(Rollout, WhoRunsItAlreadyOrSleepsIsNotRebooted) {
  change("node0", [](model::Node& node) { node.netboot->image = "debian-12:2"; });
  ASSERT_TRUE(boots("node0"));
  change("node1", [&](model::Node& node) {
    node.to_be_off = true;
    node.power_since = sim.clock.now();
  });
  sim.disconnect(agent("node1"));
  for (int i = 0; i < 10; ++i) step();
  ASSERT_EQ(node("node1").state, model::NodeState::unreachable);
  const auto operation = roll_out();
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(story(operation), "node2 done, node0 done, node1 done") << "who has something to do is the canary";
  EXPECT_EQ(image_of("node1"), "debian-12:2");
  EXPECT_EQ(switched["node0"] + switched["node1"], 0);
}

TEST_F(Rollout, IsRefusedWithAllThatStandsInTheWay) {
  EXPECT_NE(refused("debian-12:3").find("is building"), std::string::npos);
  EXPECT_NE(refused("debian-12:9").find("there is no node image"), std::string::npos);
  EXPECT_NE(refused("debian-12:2", {.select = {{"rack*"}}}).find("no node that boots over the network fits 'rack*'"),
            std::string::npos);
  EXPECT_NE(refused("debian-12:2", {.select = {{"*"}}, .max_unavailable = 0}).find("max_unavailable"),
            std::string::npos);
  ASSERT_TRUE(update_vm(sim.commander(), sim.caller(), "web-2", {.may_move = false}));
  ASSERT_TRUE(sim.settle());
  EXPECT_NE(refused().find("web-2 can't leave node0"), std::string::npos) << refused();
  EXPECT_NE(refused("debian-12:2", {.select = {{"*"}}, .max_unavailable = 3, .canary = 0}).find("web-0 can't leave"),
            std::string::npos)
      << "nobody would be left to take it";
  ASSERT_TRUE(remove_bmc(sim.commander(), sim.caller(), "node1"));
  change("node2", [](model::Node& node) { node.netboot->approval = model::Approval::waiting; });
  const auto why = refused();
  EXPECT_NE(why.find("node bmc set node1"), std::string::npos) << why;
  EXPECT_NE(why.find("node 'node2' isn't approved"), std::string::npos) << why;
}

TEST_F(Rollout, OneAtATimeAndItsImageStays) {
  const auto operation = roll_out();
  EXPECT_NE(refused().find("debian-12:2 is being rolled out"), std::string::npos);
  EXPECT_NE(delete_node_image(sim.commander(), sim.caller(), "debian-12:2").error().message.find("rolled out"),
            std::string::npos);
  EXPECT_TRUE(build_node_image(sim.commander(), {.actor = "sim", .dry_run = true}, {.base = "debian-12"}).has_value())
      << "the next version can be made meanwhile";
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(story(operation), "node0 left, node1 left, node2 left");
}

// Killed at every commit in turn, it goes on and ends the same; no machine is switched twice.
TEST_F(Rollout, OutlivesTheManagersDeathAtAnyCommit) {
  for (std::size_t after = 0; after < 90; after += 3) {
    for (const auto& name : names) change(name, [](model::Node& node) { node.netboot->image = "debian-12:1"; });
    for (const auto& name : names) ASSERT_TRUE(boots(name));
    switched.clear();
    const auto operation = roll_out();
    sim.kill_manager_after(after);
    ASSERT_TRUE(ends(operation)) << after;
    ASSERT_EQ(state_of(operation), "succeeded") << after;
    for (const auto& name : names) {
      EXPECT_EQ(switched[name], 1) << after << " " << name;
      EXPECT_EQ(image_of(name), "debian-12:2") << after;
      EXPECT_TRUE(is_open(name)) << after;
    }
    ASSERT_TRUE(sim.settle()) << after << ": " << sim.check();
    EXPECT_EQ(sim.check(), "") << after;
  }
}

TEST_F(Rollout, GoesBackToTheImageBeforeWhateverKillsTheManager) {
  broken.insert("debian-12:2");
  for (std::size_t after = 8; after < 40; ++after) {
    switched.clear();
    const auto operation = roll_out({.select = {{"node0"}}, .boot_deadline_seconds = 120});
    sim.kill_manager_after(after);
    ASSERT_TRUE(ends(operation)) << after;
    EXPECT_NE(state_of(operation).find("it runs debian-12:1 again"), std::string::npos)
        << after << ": " << state_of(operation);
    EXPECT_EQ(switched["node0"], 2) << after;
    EXPECT_EQ(image_of("node0"), "debian-12:1") << after;
    EXPECT_TRUE(is_open("node0")) << after;
  }
}

}  // namespace
}  // namespace bridgehead::reconcile
