// What becomes of migrations on which a node refuses, dies, or is cancelled, in clusters where nothing happens unless a
// test lets it.
#include <gtest/gtest.h>

#include "reconcile/cluster.h"
#include "reconcile/tests/moving_guests.h"

namespace bridgehead::reconcile {
namespace {

using testing::FakeAgent;

class Migrations : public testing::MovingGuests {
 protected:
  Migrations() : MovingGuests({.name = "shared", .driver = model::PoolDriver::posix, .path = "/mnt/shared"}) {}
};

TEST_F(Migrations, ARefusalOfTheTargetEndsItUnderANewLease) {
  const auto operation = migrate();
  exchange(*target, 1, true);
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  carry(*target);
  EXPECT_FALSE(was_asked_to_settle(*target)) << "nobody was let in there";
  EXPECT_GT(vm().lease, now(operation).parameters.at("token").get<std::uint64_t>());
  expect_settled_on(*source);
}

TEST_F(Migrations, AnEmulatedGuestIsNotMovedByPostCopy) {
  const auto refused = migrate_vm(sim.commander(), sim.caller(), "web", {.to = name_of(*target), .post_copy = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  EXPECT_NE(refused.error().message.find("emulated"), std::string::npos) << refused.error().message;
}

TEST_F(Migrations, ATargetThatDiesBeforeItHasAcceptedIsNotWaitedForWithoutEnd) {
  const auto operation = migrate();
  sim.pass();
  carry(*target);
  sim.disconnect(*target);
  sim.pass();
  EXPECT_EQ(now(operation).state, model::OperationState::running);
  wait_long();
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  EXPECT_GT(vm().lease, lease);
  expect_settled_on(*source);
}

TEST_F(Migrations, IsCancelledAtOnceWhenTheTargetIsAway) {
  const auto operation = migrate();
  sim.pass();
  sim.disconnect(*target);
  sim.pass();
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  sim.pass();
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled);
  expect_settled_on(*source);
}

TEST_F(Migrations, ATargetThatIsTakenOutOfTheClusterEndsItWhenTheSourceHasTheGuest) {
  const auto operation = migrate();
  exchange(*target);
  sim.disconnect(*target);
  sim.pass();
  ASSERT_TRUE(delete_node(sim.commander(), sim.caller(), name_of(*target)));
  target->gates.clear();
  exchange(*source, 3);  // it can't get through, and says that the guest runs there
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  EXPECT_EQ(vm().node, source->id);
  EXPECT_GT(vm().lease, lease);
}

TEST_F(Migrations, WhenTheSourceDiesTheTargetIsAsked) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  source->work(0, false);
  source->work(0, false);  // it is there, and nobody has said so
  sim.disconnect(*source);
  wait_long();
  EXPECT_NE(now(operation).state, model::OperationState::succeeded);
  exchange(*target);
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  expect_settled_on(*target);
}

// As availability_desk leaves it when the source was verified off.
TEST_F(Migrations, AGuestWhoseNodeIsOffStaysWithoutALease) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  sim.disconnect(*source);
  auto edit = sim.inventory().edit();
  auto ended = vm();
  ended.lease = 0;
  edit.update(sim.inventory().find_by_name<model::Vm>("web"), ended);
  ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  exchange(*target);
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled) << "it hadn't come";
  EXPECT_TRUE(was_asked_to_settle(*target));
  EXPECT_EQ(vm().lease, 0U) << "a new one would be a dead node's";
  EXPECT_EQ(vm().spec.power, model::PowerState::running);
}

TEST_F(Migrations, WhoeverMayHaveTheGuestIsAskedForAsLongAsItTakes) {
  const auto operation = migrate();
  exchange(*target);
  exchange(*source, 1, true);  // without a word about where the guest is
  for (int i = 0; i < 20; ++i) {
    sim.pass();
    carry(*target);
    target->work(0, true);
    hear(*target);
    sim.advance(std::chrono::minutes(2));
  }
  EXPECT_EQ(now(operation).state, model::OperationState::running);
  EXPECT_EQ(vm().lease, lease) << "the target may have it";
  sim.disconnect(*target);
  wait_long();
  EXPECT_EQ(now(operation).state, model::OperationState::running);
  ASSERT_TRUE(delete_node(sim.commander(), sim.caller(), name_of(*target)));
  wait_long();
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  EXPECT_NE(now(operation).error->hint.find("kept paused"), std::string::npos) << now(operation).error->hint;
  EXPECT_EQ(vm().spec.power, model::PowerState::paused);
  EXPECT_GT(vm().lease, now(operation).parameters.at("token").get<std::uint64_t>()) << "and can be managed again";
}

TEST_F(Migrations, AGuestThatWasShutDownFromInsideOnItsWayIsLeftSo) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  source->change_power(vm().id, model::PowerState::stopped);
  hear(*source);
  EXPECT_EQ(vm().status.phase, model::VmPhase::stopped);
  target->gates.clear();  // libvirt doesn't move what doesn't run
  exchange(*source, 3);
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  EXPECT_EQ(vm().spec.power, model::PowerState::stopped);
  expect_settled_on(*source);
  EXPECT_EQ(source->guests.at(vm().id).power, model::PowerState::stopped);
}

TEST_F(Migrations, AGuestThatHasMovedIsNotTakenForStopped) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  // libvirt tells that it has ended on the source before the migration's own end is told.
  source->change_power(vm().id, model::PowerState::stopped);
  hear(*source);
  EXPECT_EQ(vm().status.phase, model::VmPhase::stopped);
  source->guests.at(vm().id).power = model::PowerState::running;
  exchange(*source, 3);
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  EXPECT_EQ(vm().status.phase, model::VmPhase::running) << "before the target has said a word";
  EXPECT_TRUE(migrate_vm(sim.commander(), sim.caller(), "web", {.to = name_of(*source)})) << "it can move on at once";
  expect_settled_on(*source);
}

TEST_F(Migrations, AForcedStopDoesNotWaitForIt) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  ASSERT_TRUE(power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::stop, .force = true}));
  sim.pass();
  carry(*source);
  exchange(*source);
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled);
  expect_settled_on(*source);
  EXPECT_EQ(source->guests.at(vm().id).power, model::PowerState::stopped);
}

TEST_F(Migrations, OnlySoManyGoFromANodeAndToANodeAtOnce) {
  for (int i = 0; i < 4; ++i) create(fmt::format("one{}", i), name_of(*source));
  const FakeAgent* third = nullptr;
  for (const auto& agent : sim.agents) {
    if (agent.get() != source && agent.get() != target) third = agent.get();
  }
  for (int i = 0; i < 4; ++i) create(fmt::format("two{}", i), name_of(*third));
  for (int i = 0; i < 4; ++i) migrate(fmt::format("one{}", i));
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(migrate_vm(sim.commander(), sim.caller(), fmt::format("two{}", i), {.to = name_of(*source)}));
  }
  sim.pass();
  std::map<model::NodeId, int> busy;
  for (const auto& open : sim.inventory().open_operations()) {
    if (open->value.state != model::OperationState::running) continue;
    ++busy[model::NodeId(open->value.parameters.at("from").get<std::string>())];
    ++busy[model::NodeId(open->value.parameters.at("to").get<std::string>())];
  }
  const auto most = static_cast<int>(Options{}.migrations_per_node);
  EXPECT_EQ(busy[source->id], most) << "to it and from it";
  for (const auto& [node, count] : busy) EXPECT_LE(count, most);
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Migrations, AGuestOnItsWayTakesRoomAtBothEnds) {
  const auto allocated = [&](const FakeAgent& agent) {
    const auto node = sim.inventory().find<model::Node>(agent.id);
    const auto alone = node_snapshot(sim.inventory(), node->value).allocated;
    for (const auto& one : cluster_snapshot(sim.inventory(), {}).nodes) {
      if (one.id == agent.id) {
        EXPECT_EQ(one.allocated, alone);
      }
    }
    return alone.memory;
  };
  EXPECT_EQ(allocated(*target), Bytes());
  migrate();
  EXPECT_EQ(allocated(*source), Bytes(1_GiB));
  EXPECT_EQ(allocated(*target), Bytes(1_GiB));
  expect_settled_on(*target);
  EXPECT_EQ(allocated(*source), Bytes());
  EXPECT_EQ(allocated(*target), Bytes(1_GiB));
}

TEST_F(Migrations, AnOldCopyOnTheSourceIsRemoved) {
  auto copy = source->guests.at(vm().id);
  copy.power = model::PowerState::paused;  // as libvirt leaves it
  const auto disks = *source->shared;
  migrate();
  expect_settled_on(*target);
  source->guests[vm().id] = copy;
  expect_settled_on(*target);
  EXPECT_FALSE(source->guests.contains(vm().id));
  EXPECT_EQ(*source->shared, disks);
}

TEST_F(Migrations, OneThatRunsUnderAnOldLeaseIsLeftToAPerson) {
  const auto copy = source->guests.at(vm().id);
  migrate();
  expect_settled_on(*target);
  source->guests[vm().id] = copy;
  EXPECT_TRUE(sim.settle());
  EXPECT_TRUE(source->guests.contains(vm().id));
  EXPECT_NE(sim.inventory().find<model::Node>(source->id)->value.message.find("1 guest here"), std::string::npos);
}

TEST_F(Migrations, ACopyUnderANewerLeaseIsLeftAloneAndReported) {
  auto copy = source->guests.at(vm().id);
  copy.lease = vm().lease + 100;
  target->guests[vm().id] = copy;
  EXPECT_TRUE(sim.settle());
  EXPECT_TRUE(target->guests.contains(vm().id));
  EXPECT_NE(sim.inventory().find<model::Node>(target->id)->value.message.find("1 guest here"), std::string::npos);
}

}  // namespace
}  // namespace bridgehead::reconcile
