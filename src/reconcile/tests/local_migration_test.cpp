// Guests whose disks lie in pools of their nodes alone move together with them.
#include "reconcile/tests/moving_guests.h"

namespace bridgehead::reconcile {
namespace {

using testing::FakeAgent;

class LocalMigrations : public testing::MovingGuests {
 protected:
  LocalMigrations() : MovingGuests({.name = "local", .path = "/var/pool"}) {}

  model::Image disk() { return sim.inventory().find<model::Image>(vm().spec.disks.at(0).image)->value; }
  bool has_disk(const FakeAgent& agent) { return agent.disks.contains(disk().id); }
  std::vector<model::Operation> clears() {
    std::vector<model::Operation> all;
    for (const auto& open : sim.inventory().open_operations()) {
      if (open->value.kind == model::operation_kind::image_clear) all.push_back(open->value);
    }
    return all;
  }
  MigrationCheck pools_check(const MigrateVm& request) {
    const auto all = check_migration(sim.inventory(), {}, "web", request);
    EXPECT_TRUE(all) << all.error().describe();
    for (const auto& check : all->at(0).checks) {
      if (check.name == "pools") return check;
    }
    return {};
  }
  // The pool has so much room on the target.
  void set_room(const std::string& pool, Bytes room) {
    const auto record = sim.inventory().find_by_name<model::Pool>(pool);
    auto changed = record->value;
    changed.nodes.at(target->id).available = room;
    auto edit = sim.inventory().edit();
    edit.update(record, changed);
    ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  }
  void expect_only_on(FakeAgent& agent) {
    expect_settled_on(agent);
    EXPECT_EQ(disk().node, agent.id);
    EXPECT_TRUE(has_disk(agent));
    EXPECT_FALSE(has_disk(&agent == source ? *target : *source)) << "and no file is left on the other node";
  }
};

TEST_F(LocalMigrations, ADiskGoesAlongAndItsOldFileIsClearedAway) {
  const auto check = pools_check({.to = name_of(*target)});
  EXPECT_TRUE(check.passed) << check.message;
  EXPECT_EQ(check.message, "copies disk0 (1 GiB) into pool 'local'");
  const auto operation = migrate();
  exchange(*target);
  EXPECT_TRUE(has_disk(*target)) << "a file waits for it";
  EXPECT_EQ(disk().node, source->id);
  exchange(*source, 3);
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  EXPECT_EQ(vm().node, target->id);
  EXPECT_EQ(disk().node, target->id) << "in the same transaction";
  EXPECT_TRUE(disk().parent.empty());
  EXPECT_EQ(clears().size(), 1u);
  EXPECT_TRUE(has_disk(*source));
  expect_only_on(*target);
}

TEST_F(LocalMigrations, ARefusalOfTheTargetLeavesNothingThere) {
  const auto operation = migrate();
  exchange(*target, 1, true);
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  EXPECT_TRUE(has_disk(*target)) << "it had got that far";
  EXPECT_GT(vm().lease, now(operation).parameters.at("token").get<std::uint64_t>());
  expect_only_on(*source);
}

TEST_F(LocalMigrations, CancelledOnItsWayItStaysWithItsDisk) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  sim.pass();
  carry(*source);
  source->work(0, false);
  hear(*source);
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled);
  expect_only_on(*source);
}

// With a shared disk the target would be asked; here the guest may have gone on at the source, with writes that the
// target hasn't got.
TEST_F(LocalMigrations, ASourceThatCannotBeAskedIsWaitedFor) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  source->work(0, false);
  source->work(0, false);  // it has come in at the target, where it stands still
  ASSERT_TRUE(target->held.contains(vm().id));
  sim.disconnect(*source);
  wait_long();
  EXPECT_EQ(now(operation).state, model::OperationState::running);
  carry(*target);
  EXPECT_FALSE(was_asked_to_settle(*target));
  EXPECT_TRUE(target->held.contains(vm().id));
  sim.connect(*source);
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_FALSE(has_disk(vm().node == source->id ? *target : *source));
}

TEST_F(LocalMigrations, CancelledWhileTheSourceIsAwayItStaysTheSources) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  source->work(0, false);
  source->work(0, false);
  sim.disconnect(*source);
  sim.pass();
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  exchange(*target);
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled);
  EXPECT_FALSE(target->guests.contains(vm().id)) << "nobody lets it go on there any more";
  sim.connect(*source);
  expect_only_on(*source);
}

TEST_F(LocalMigrations, CancelledWhileTheSourceIsAwayItStaysAtATargetThatWasTold) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  for (int i = 0; i < 3; ++i) source->work(0, false);
  ASSERT_FALSE(target->held.contains(vm().id));
  sim.disconnect(*source);
  sim.pass();
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  exchange(*target);
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  EXPECT_EQ(vm().node, target->id);
  EXPECT_EQ(disk().node, target->id);
  sim.connect(*source);
  expect_only_on(*target);
}

TEST_F(LocalMigrations, WhatTheSourceGaveUpWithoutAnAnswerTheTargetSettles) {
  const auto operation = migrate();
  exchange(*target);
  sim.pass();
  carry(*source);
  source->work(0, false);
  source->work(0, false);
  const auto peer = source->peer;
  source->peer = [](const auto&) { return nullptr; };  // the cable
  source->work(0, false);
  hear(*source);
  source->peer = peer;
  EXPECT_EQ(now(operation).state, model::OperationState::running);
  exchange(*target);
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  expect_only_on(*target);
}

TEST_F(LocalMigrations, ASourceThatDoesNotKnowIsAskedAgain) {
  const auto operation = migrate();
  exchange(*target);
  exchange(*source, 1, true);  // `unavailable`
  EXPECT_EQ(now(operation).state, model::OperationState::running);
  EXPECT_EQ(now(operation).node, source->id);
  EXPECT_EQ(vm().lease, lease);
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  expect_only_on(*target);
}

TEST_F(LocalMigrations, TheWayBackWaitsUntilTheOldFileIsGone) {
  migrate();
  exchange(*target);
  exchange(*source, 3);
  ASSERT_EQ(vm().node, target->id);
  sim.pass();
  carry(*source);
  source->work(0, true);  // it can't be removed now
  hear(*source);
  exchange(*target, 6);
  const auto back = migrate_vm(sim.commander(), sim.caller(), "web", {.to = name_of(*source)});
  ASSERT_TRUE(back) << back.error().describe();
  sim.pass();
  EXPECT_EQ(now(back->operation).state, model::OperationState::pending);
  EXPECT_NE(now(back->operation).progress.phase.find("old file"), std::string::npos)
      << now(back->operation).progress.phase;
  expect_only_on(*source);
}

TEST_F(LocalMigrations, WhereItHasNoRoomAnotherPoolIsNamed) {
  ASSERT_TRUE(add_pool(sim.commander(), sim.caller(), {.name = "large", .path = "/var/large"}));
  EXPECT_TRUE(sim.settle());
  set_room("local", 512_MiB);
  const auto check = pools_check({.to = name_of(*target)});
  EXPECT_FALSE(check.passed);
  EXPECT_NE(check.message.find("512 MiB left"), std::string::npos) << check.message;
  EXPECT_EQ(check.fix, fmt::format("bh vm migrate web --to {} --pool large", name_of(*target)));
  const auto refused = migrate_vm(sim.commander(), sim.caller(), "web", {.to = name_of(*target)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(pools_check({.to = name_of(*target), .pool = "large"}).message, "copies disk0 (1 GiB) into pool 'large'");
  ASSERT_TRUE(migrate_vm(sim.commander(), sim.caller(), "web", {.to = name_of(*target), .pool = "large"}));
  EXPECT_FALSE(remove_pool(sim.commander(), sim.caller(), "large")) << "a disk is on its way into it";
  expect_only_on(*target);
  EXPECT_EQ(disk().pool, sim.inventory().find_by_name<model::Pool>("large")->value.id);
}

}  // namespace
}  // namespace bridgehead::reconcile
