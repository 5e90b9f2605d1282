// What becomes of a node that is drained for its machine to be rebooted, switched off or updated.
#include "reconcile/commands/plans.h"
#include "reconcile/tests/maintained_nodes.h"

namespace bridgehead::reconcile {
namespace {

using model::AfterDrain;
using model::OperationState;

class Maintenance : public testing::MaintainedNodes {
 protected:
  model::Operation maintain(const std::string& name, MaintainNode request) {
    const auto maintained = maintain_node(sim.commander(), sim.caller(), name, request);
    EXPECT_TRUE(maintained) << maintained.error().describe();
    return maintained ? maintained->accepted.operation : model::Operation{};
  }
  std::string refused(const std::string& name, MaintainNode request = {}) {
    const auto before = sim.inventory().revision();
    const auto maintained = maintain_node(sim.commander(), sim.caller(), name, request);
    EXPECT_FALSE(maintained) << name;
    EXPECT_EQ(sim.inventory().revision(), before) << "nothing was changed";
    return maintained ? "" : maintained.error().describe();
  }
};

TEST_F(Maintenance, ANodeIsEmptiedRebootedAndOpenedAgain) {
  const auto operation = maintain("node0", {.then = AfterDrain::reboot});
  sim.pass();
  EXPECT_TRUE(node("node0").draining);
  EXPECT_EQ(asked("node0"), "") << "not before it is empty";
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(switched["node0"], 1);
  EXPECT_TRUE(is_open("node0"));
  EXPECT_TRUE(guests_on("node0").empty()) << "the planner's policy decides who comes back";
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Maintenance, OneThatWasClosedStaysClosed) {
  ASSERT_TRUE(update_node(sim.commander(), sim.caller(), "node0", {.schedulable = false}));
  const auto operation = maintain("node0", {.then = AfterDrain::reboot});
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_FALSE(node("node0").schedulable);
}

TEST_F(Maintenance, OffIsOffAndStaysInMaintenance) {
  const auto operation = maintain("node0", {.then = AfterDrain::off});
  std::string action;
  ASSERT_TRUE(ends(operation, [&] {
    if (!asked("node0").empty()) action = asked("node0");
  }));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(switched["node0"], 1);
  EXPECT_TRUE(node("node0").draining);
  EXPECT_FALSE(node("node0").schedulable);
}

TEST_F(Maintenance, AnUpdateBootsTheNewestThatIsReady) {
  const auto operation = maintain("node0", {.then = AfterDrain::update});
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(node("node0").netboot->image, "debian-12:2");
  EXPECT_TRUE(is_open("node0"));
  EXPECT_NE(refused("node0", {.then = AfterDrain::update}).find("runs debian-12:2 already"), std::string::npos);
}

TEST_F(Maintenance, AnImageThatDoesNotWorkIsTakenBack) {
  broken.insert("debian-12:2");
  const auto operation = maintain("node0", {.then = AfterDrain::update, .boot_deadline_seconds = 120});
  const auto deleted = [&] { return delete_node_image(sim.commander(), sim.caller(), "debian-12:1").has_value(); };
  ASSERT_TRUE(ends(operation, [&] { EXPECT_FALSE(deleted()) << "it may be needed"; }));
  EXPECT_EQ(now(operation).state, OperationState::failed);
  EXPECT_NE(state_of(operation).find("isn't well 2 min after it was switched on with debian-12:2: its boot is at "
                                     "'bootstrap': debian-12:2; it runs debian-12:1 again"),
            std::string::npos)
      << state_of(operation);
  EXPECT_EQ(switched["node0"], 2);
  EXPECT_EQ(node("node0").netboot->image, "debian-12:1");
  EXPECT_TRUE(is_open("node0"));
}

// Its agent is there, and yet it isn't as well as before.
TEST_F(Maintenance, ANodeThatLacksSomethingIsTakenBack) {
  const std::vector<std::pair<std::string, std::function<void()>>> lacks = {
      {"runs without its bridge",
       [&] {
         const auto record = sim.inventory().find<model::Boot>(node("node0").id);
         auto boot = record->value;
         if (boot.image != "debian-12:2" || boot.events.size() > 1) return;
         boot.events.push_back({.step = model::BootStep::fallback, .message = "no link", .time = sim.clock.now()});
         auto edit = sim.inventory().edit();
         edit.update(record, boot);
         ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
       }},
  };
  for (const auto& [what, spoil] : lacks) {
    const auto operation = maintain("node0", {.then = AfterDrain::update, .boot_deadline_seconds = 120});
    ASSERT_TRUE(ends(operation, spoil));
    EXPECT_NE(state_of(operation).find(what), std::string::npos) << state_of(operation);
    EXPECT_NE(state_of(operation).find("it runs debian-12:1 again"), std::string::npos) << state_of(operation);
    EXPECT_TRUE(is_open("node0"));
  }
}

TEST_F(Maintenance, AMachineThatDoesNotComeBackStaysClosed) {
  dead.insert("node0");
  for (const auto then : {AfterDrain::reboot, AfterDrain::update}) {
    const auto operation = maintain("node0", {.then = then, .boot_deadline_seconds = 120});
    ASSERT_TRUE(ends(operation));
    EXPECT_EQ(now(operation).state, OperationState::failed);
    EXPECT_FALSE(is_open("node0"));
    EXPECT_EQ(node("node0").netboot->image, "debian-12:1");
    EXPECT_NE(now(operation).error->hint.find("It stays closed"), std::string::npos);
    sim.connect(agent("node0"));
    sim.pass();
    ASSERT_TRUE(undrain_node(sim.commander(), sim.caller(), "node0"));
  }
}

TEST_F(Maintenance, ABmcThatDoesNotAnswerChangesNoImage) {
  bmcs_away = true;
  const auto operation = maintain("node0", {.then = AfterDrain::update});
  ASSERT_TRUE(ends(operation));
  EXPECT_NE(state_of(operation).find("couldn't be switched: its BMC doesn't answer"), std::string::npos)
      << state_of(operation);
  EXPECT_EQ(node("node0").netboot->image, "debian-12:1");
  EXPECT_FALSE(is_open("node0")) << "nobody knows how its machine is";
}

TEST_F(Maintenance, IsRefusedWithWhoCannotLeave) {
  ASSERT_TRUE(update_vm(sim.commander(), sim.caller(), "web-1", {.may_move = false}));
  ASSERT_TRUE(update_vm(sim.commander(), sim.caller(), "web-3", {.may_move = false}));
  ASSERT_TRUE(sim.settle());
  const auto why = refused("node0");
  EXPECT_NE(why.find("web-1 can't leave node0, which is to be emptied: its owner doesn't let it be moved; web-3"),
            std::string::npos)
      << why;
  EXPECT_EQ(why.find("web-0"), std::string::npos) << why;
}

TEST_F(Maintenance, IsRefusedWithoutPowerControl) {
  ASSERT_TRUE(remove_bmc(sim.commander(), sim.caller(), "node0"));
  EXPECT_NE(refused("node0").find("bh node bmc set node0"), std::string::npos);
  ASSERT_TRUE(set_bmc(sim.commander(), sim.caller(), "node0",
                      {.driver = "wol", .address = "", .user = "", .options = {{"mac", "52:54:00:00:00:01"}}}));
  EXPECT_NE(refused("node0").find("can only be switched on"), std::string::npos);
}

TEST_F(Maintenance, IsRefusedForOtherReasons) {
  EXPECT_NE(refused("nobody").find("there is no node 'nobody'"), std::string::npos);
  EXPECT_NE(refused("node0", {.boot_deadline_seconds = 5}).find("boot_deadline_seconds"), std::string::npos);
  change("node1", [](model::Node& node) { node.netboot.reset(); });
  EXPECT_NE(refused("node1", {.then = AfterDrain::update}).find("doesn't boot over the network"), std::string::npos);
  const auto operation = maintain("node2", {.then = AfterDrain::off});
  EXPECT_NE(refused("node2").find("is to be switched off already"), std::string::npos);
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  ASSERT_TRUE(ends(operation));
  EXPECT_TRUE(is_open("node2"));
}

TEST_F(Maintenance, ImagesInMemoryAreNotLost) {
  auto edit = sim.inventory().edit();
  model::Pool pool{.id = model::PoolId("00000000-0000-4000-8000-0000000000aa"), .name = "ram"};
  pool.nodes[node("node0").id] = {.ready = true, .abilities = {.file_system = "overlayfs"}};
  edit.create(pool);
  edit.create(model::Image{.id = model::ImageId("00000000-0000-4000-8000-0000000000ab"),
                           .name = "precious",
                           .pool = pool.id,
                           .node = node("node0").id,
                           .state = model::ImageState::ready});
  ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  const auto why = refused("node0");
  EXPECT_NE(why.find("'precious', which would be lost"), std::string::npos) << why;
}

TEST_F(Maintenance, IsCancelledWhileItsGuestsLeave) {
  const auto operation = maintain("node0", {.then = AfterDrain::reboot});
  sim.pass();
  ASSERT_TRUE(planner->look());
  sim.pass();
  ASSERT_GT(open("vm.migrate"), 0u);
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(now(operation).state, OperationState::cancelled);
  EXPECT_TRUE(is_open("node0"));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(switched["node0"], 0);
  EXPECT_FALSE(guests_on("node0").empty()) << "only moves under way end";
}

TEST_F(Maintenance, IsNotCancelledOnceItIsSwitched) {
  const auto operation = maintain("node0", {.then = AfterDrain::reboot});
  bool tried = false;
  ASSERT_TRUE(ends(operation, [&] {
    if (tried || joins.empty()) return;
    tried = true;
    const auto cancelled = cancel_operation(sim.commander(), sim.caller(), operation.id.str());
    ASSERT_FALSE(cancelled);
    EXPECT_NE(cancelled.error().message.find("goes to its end"), std::string::npos);
  }));
  EXPECT_TRUE(tried);
  EXPECT_EQ(state_of(operation), "succeeded");
}

TEST_F(Maintenance, OneThatIsOpenedMeanwhileIsLeftAlone) {
  const auto operation = maintain("node0", {.then = AfterDrain::off});
  sim.pass();
  ASSERT_TRUE(undrain_node(sim.commander(), sim.caller(), "node0"));
  ASSERT_TRUE(ends(operation));
  EXPECT_NE(state_of(operation).find("was opened again"), std::string::npos) << state_of(operation);
  EXPECT_EQ(switched["node0"], 0);
}

TEST_F(Maintenance, WhereNobodyFindsRoomTheNodeIsOpenedAgain) {
  const auto operation = maintain("node0", {.then = AfterDrain::reboot});
  sim.pass();
  for (const char* other : {"node1", "node2"}) {
    ASSERT_TRUE(update_node(sim.commander(), sim.caller(), other, {.schedulable = false}));
  }
  ASSERT_TRUE(ends(operation));
  EXPECT_NE(state_of(operation).find("couldn't be emptied"), std::string::npos) << state_of(operation);
  EXPECT_NE(state_of(operation).find("web-0 can't leave node0"), std::string::npos) << state_of(operation);
  EXPECT_TRUE(is_open("node0"));
  EXPECT_EQ(switched["node0"], 0);
}

// Killed at every commit in turn, it goes on and ends the same; the machine is switched once.
TEST_F(Maintenance, OutlivesTheManagersDeathAtAnyCommit) {
  for (std::size_t after = 0; after < 40; ++after) {
    const std::string here = where("web-0");
    switched.clear();
    const auto operation = maintain(here, {.then = AfterDrain::reboot});
    sim.kill_manager_after(after);
    ASSERT_TRUE(ends(operation)) << after;
    ASSERT_EQ(state_of(operation), "succeeded") << after;
    EXPECT_EQ(switched[here], 1) << after;
    EXPECT_TRUE(is_open(here)) << after;
    ASSERT_TRUE(sim.settle()) << after << ": " << sim.check();
    EXPECT_EQ(sim.check(), "") << after;
  }
}

}  // namespace
}  // namespace bridgehead::reconcile
