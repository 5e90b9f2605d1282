// What may be asked of a guest's disk, and what the records say before, while and after it is done.
#include "reconcile/commands/disks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/commands/migration.h"
#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile {
namespace {

using ::testing::HasSubstr;

class Disks : public ::testing::Test {
 protected:
  Disks() : sim(5, 2) {
    for (auto& agent : sim.agents) sim.connect(*agent);
    sim.pass();
    EXPECT_TRUE(add_pool(commander(), caller(), {.name = "local", .path = "/var/pool"}));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(add_pool(commander(), caller(), {.name = "demo", .driver = model::PoolDriver::posix, .path = "/mnt"}));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(import_image(commander(), caller(),
                             {.name = "golden",
                              .pool = "local",
                              .source = {.kind = model::ImageSourceKind::url, .location = "https://example.org/a"}}));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(create_vms(commander(), caller(),
                           {.name = "db",
                            .image = "golden",
                            .disks = {{}, {.size = Bytes(1_GiB)}},
                            .memory = Bytes(1_GiB),
                            .nics = std::vector<NicRequest>{}}));
    EXPECT_TRUE(sim.settle());
    EXPECT_EQ(sim.check(), "");
  }

  Commander& commander() { return sim.commander(); }
  Caller caller() { return sim.caller(); }
  model::Image image(const std::string& name = "db-disk0") {
    return sim.inventory().find_by_name<model::Image>(name)->value;
  }
  model::Pool pool(const std::string& name) { return sim.inventory().find_by_name<model::Pool>(name)->value; }
  model::Vm vm() { return sim.inventory().find_by_name<model::Vm>("db")->value; }
  // The operation has begun on the node.
  void begin() {
    sim.pass();
    for (auto& agent : sim.agents) {
      for (int i = 0; i < 4; ++i) sim.deliver_to_agent(*agent, 0, 0);
    }
  }
  template <typename T>
  static void expect_refused(const Result<T>& result, ErrorCode code, const std::string& why) {
    ASSERT_FALSE(result) << "should say " << why;
    EXPECT_EQ(result.error().code, code) << result.error().describe();
    EXPECT_THAT(result.error().describe(), HasSubstr(why));
  }
  void edit_pool(const std::string& name, const std::function<void(model::Pool&)>& change) {
    const auto record = sim.inventory().find_by_name<model::Pool>(name);
    auto value = record->value;
    change(value);
    auto edit = sim.inventory().edit();
    edit.update(record, value);
    ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  }

  testing::Simulation sim;
};

TEST_F(Disks, TheRecordFollowsTheDiskAndNotBefore) {
  const auto before = image();
  ASSERT_FALSE(before.parent.empty());
  const auto asked = migrate_image(commander(), caller(), "db-disk0", "demo");
  ASSERT_TRUE(asked) << asked.error().describe();
  EXPECT_EQ(asked->operation.target, vm().id.str()) << "nothing else happens to the guest meanwhile";
  begin();
  EXPECT_EQ(image().pool, before.pool);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_EQ(image().pool, pool("demo").id);
  EXPECT_EQ(image().node, model::NodeId()) << "every node sees it";
  EXPECT_EQ(image().parent, model::ImageId());
  EXPECT_EQ(image().id, before.id);
  EXPECT_EQ(vm().spec.power, model::PowerState::running);
  ASSERT_TRUE(migrate_image(commander(), caller(), "db-disk0", "local"));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_EQ(image().node, vm().node) << "back on its node";
}

TEST_F(Disks, OnceNoDiskNeedsItAGoldenImageCanGo) {
  EXPECT_FALSE(delete_image(commander(), caller(), "golden"));
  ASSERT_TRUE(flatten_image(commander(), caller(), "db-disk0"));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(image().parent, model::ImageId());
  expect_refused(flatten_image(commander(), caller(), "db-disk0"), ErrorCode::failed_precondition, "no golden image");
  ASSERT_TRUE(delete_image(commander(), caller(), "golden"));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Disks, AnAnswerThatDoesntComeIsAskedForAgain) {
  ASSERT_TRUE(migrate_image(commander(), caller(), "db-disk0", "demo"));
  begin();
  for (auto& agent : sim.agents) {
    for (int i = 0; i < 4; ++i) agent->work(0, false);  // it has gone over
    agent->work(0, true);                               // but libvirt is away
  }
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_EQ(image().pool, pool("demo").id);
}

TEST_F(Disks, WhatCannotMoveIsRefusedWithTheReason) {
  const auto refused = [&](const std::string& disk, const std::string& to, ErrorCode code, const std::string& why) {
    expect_refused(migrate_image(commander(), caller(), disk, to), code, why);
  };
  refused("no-disk", "demo", ErrorCode::not_found, "no-disk");
  refused("db-disk0", "no-pool", ErrorCode::not_found, "no-pool");
  refused("golden", "demo", ErrorCode::failed_precondition, "--from-image");
  refused("db-disk0", "local", ErrorCode::failed_precondition, "is in pool 'local' already");
  edit_pool("demo", [&](model::Pool& demo) {
    demo.nodes[vm().node] = {.ready = false, .message = "mount.moosefs: no route to host"};
  });
  refused("db-disk0", "demo", ErrorCode::failed_precondition, "no route to host");
  edit_pool("demo", [&](model::Pool& demo) { demo.nodes.erase(vm().node); });
  refused("db-disk0", "demo", ErrorCode::failed_precondition, "isn't ready on node");
  edit_pool("demo", [&](model::Pool& demo) { demo.nodes[vm().node] = {.ready = true, .available = Bytes(1)}; });
  edit_pool("local", [&](model::Pool& local) { local.nodes[vm().node].abilities.seek_holes = true; });
  const auto record = sim.inventory().find_by_name<model::Image>("db-disk0");
  auto large = record->value;
  large.allocated = large.virtual_size = Bytes(1_GiB);
  auto edit = sim.inventory().edit();
  edit.update(record, large);
  ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  refused("db-disk0", "demo", ErrorCode::resource_exhausted, "left");
  edit_pool("demo", [&](model::Pool& demo) { demo.nodes[vm().node].available = Bytes(1_TiB); });
  auto dry = caller();
  dry.dry_run = true;
  EXPECT_TRUE(migrate_image(commander(), dry, "db-disk0", "demo"));
  EXPECT_FALSE(disk_work_on(sim.inventory(), image()));
  ASSERT_TRUE(create_snapshot(commander(), caller(), "db", "s1"));
  ASSERT_TRUE(sim.settle());
  refused("db-disk0", "demo", ErrorCode::failed_precondition, "snapshots");
  expect_refused(flatten_image(commander(), caller(), "db-disk0"), ErrorCode::failed_precondition, "snapshots");
}

TEST_F(Disks, WhileADiskMovesItAndItsPoolsAreLeftAlone) {
  const auto asked = migrate_image(commander(), caller(), "db-disk1", "demo");
  ASSERT_TRUE(asked);
  const auto cancel = "bh operation cancel " + asked->operation.id.str();
  expect_refused(migrate_image(commander(), caller(), "db-disk1", "demo"), ErrorCode::failed_precondition, cancel);
  expect_refused(flatten_image(commander(), caller(), "db-disk1"), ErrorCode::failed_precondition, cancel);
  expect_refused(remove_disk(commander(), caller(), "db", "disk1"), ErrorCode::failed_precondition, cancel);
  expect_refused(remove_pool(commander(), caller(), "demo"), ErrorCode::failed_precondition, cancel);
  EXPECT_TRUE(migrate_image(commander(), caller(), "db-disk0", "demo")) << "its other disk follows";
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_EQ(image("db-disk0").pool, pool("demo").id);
}

TEST_F(Disks, ADetachedDiskMovesAndIsNotPluggedInMeanwhile) {
  ASSERT_TRUE(delete_vm(commander(), caller(), "db", true));
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(
      create_vms(commander(), caller(),
                 {.name = "other", .image = "golden", .memory = Bytes(1_GiB), .nics = std::vector<NicRequest>{}}));
  ASSERT_TRUE(sim.settle());
  const auto asked = migrate_image(commander(), caller(), "db-disk1", "demo");
  ASSERT_TRUE(asked) << asked.error().describe();
  EXPECT_EQ(asked->operation.target, image("db-disk1").id.str());
  expect_refused(add_disk(commander(), caller(), "other", {.image = "db-disk1"}), ErrorCode::failed_precondition,
                 "being moved");
  expect_refused(delete_image(commander(), caller(), "db-disk1"), ErrorCode::failed_precondition, "being moved");
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(image("db-disk1").pool, pool("demo").id);
  EXPECT_EQ(sim.check(), "");
  ASSERT_TRUE(migrate_image(commander(), caller(), "db-disk1", "local"));
  ASSERT_TRUE(sim.settle());
  EXPECT_NE(image("db-disk1").node, model::NodeId());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Disks, ADetachedDisksWorkGoesOnElsewhereWhenItsNodeIsTakenOut) {
  ASSERT_TRUE(add_pool(commander(), caller(), {.name = "more", .driver = model::PoolDriver::posix, .path = "/more"}));
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(delete_vm(commander(), caller(), "db", true));
  ASSERT_TRUE(sim.settle());
  for (const auto* disk : {"db-disk0", "db-disk1"}) {
    ASSERT_TRUE(migrate_image(commander(), caller(), disk, "demo"));
    ASSERT_TRUE(sim.settle());
  }
  ASSERT_TRUE(delete_image(commander(), caller(), "golden"));
  ASSERT_TRUE(sim.settle());
  const auto asked = migrate_image(commander(), caller(), "db-disk1", "more");
  ASSERT_TRUE(asked) << asked.error().describe();
  begin();
  const auto now = [&] { return sim.inventory().find<model::Operation>(asked->operation.id)->value; };
  const auto node = sim.inventory().find<model::Node>(now().node);
  ASSERT_TRUE(node);
  expect_refused(delete_node(commander(), caller(), node->value.name), ErrorCode::failed_precondition, "is at work on");
  for (auto& agent : sim.agents) {
    if (agent->id == node->value.id) sim.disconnect(*agent);
  }
  sim.pass();
  sim.advance(std::chrono::minutes(2));
  sim.pass();
  ASSERT_TRUE(delete_node(commander(), caller(), node->value.name));
  sim.pass();
  sim.advance(std::chrono::minutes(1));
  sim.pass();
  EXPECT_NE(now().node.str(), node->value.id.str());
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(now().state, model::OperationState::succeeded);
  EXPECT_EQ(image("db-disk1").pool, pool("more").id);
}

TEST_F(Disks, WorkOnADiskThatWasTakenOutOfItsGuestMeanwhileIsRefused) {
  const auto asked = migrate_image(commander(), caller(), "db-disk1", "demo");
  ASSERT_TRUE(asked) << asked.error().describe();
  // As when a disk that was being plugged in could not be.
  const auto record = sim.inventory().find_by_name<model::Image>("db-disk1");
  auto detached = record->value;
  detached.vm = {};
  auto edit = sim.inventory().edit();
  edit.update(record, detached);
  ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  for (int i = 0; i < 4; ++i) begin();
  const auto operation = sim.inventory().find<model::Operation>(asked->operation.id)->value;
  ASSERT_EQ(operation.state, model::OperationState::failed);
  EXPECT_EQ(operation.error->code, ErrorCode::conflict);
}

TEST_F(Disks, AGuestWhoseDiskIsOnItsWayDoesNotMove) {
  for (const auto* disk : {"db-disk0", "db-disk1"}) {
    ASSERT_TRUE(migrate_image(commander(), caller(), disk, "demo"));
    ASSERT_TRUE(sim.settle());
  }
  ASSERT_TRUE(migrate_image(commander(), caller(), "db-disk0", "local"));
  expect_refused(migrate_vm(commander(), caller(), "db", {}), ErrorCode::failed_precondition, "being moved");
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Disks, OfAGuestThatMovesOnlyThoseGoAlongThatTheNodesDoNotShare) {
  ASSERT_TRUE(migrate_image(commander(), caller(), "db-disk0", "demo"));
  ASSERT_TRUE(sim.settle());
  const auto moved = migrate_vm(commander(), caller(), "db", {});
  ASSERT_TRUE(moved) << moved.error().describe();
  const auto copies = operations::copies_of(moved->operation);
  ASSERT_EQ(copies.size(), 1U);
  EXPECT_EQ(copies[0].image, sim.inventory().find_by_name<model::Image>("db-disk1")->value.id);
  expect_refused(migrate_image(commander(), caller(), "db-disk0", "local"), ErrorCode::failed_precondition,
                 "moving to another node");
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

}  // namespace
}  // namespace bridgehead::reconcile
