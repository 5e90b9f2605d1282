// Guests that move together with their disks: two hosts, each with its own pool. The source alone decides where the
// guest is; the target's copy stands still until it was given up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

using ::testing::HasSubstr;

// What outlives the agents.
struct Pair {
  Pair() {
    ::signal(SIGPIPE, SIG_IGN);  // as the agent does
    target.node = source.id<model::NodeId>();
    target.migration.identity = [this] { return source.identity(target.node); };
    target.pool_record = source.pool_record;
    target.pool = std::make_shared<FakePool>(target.pool_record);
    target.pool->attach();
    source.hypervisor.set_migration_target(&target.hypervisor);
    guest = source.new_vm();
    guest.vm.node = source.node;
    {
      Node node(source);
      const auto end = node.carry_out(guest);
      EXPECT_EQ(end.state, AssignmentState::succeeded) << (end.error ? end.error->describe() : "");
      node.executor().acknowledge(end.operation);
    }
    for (auto& image : guest.images) {
      if (image.role != model::ImageRole::disk) continue;
      const auto stored = source.pool->inspect(image);
      image.state = model::ImageState::ready;
      image.format = stored->format;
      image.virtual_size = stored->virtual_size;
    }
  }

  std::vector<model::Image> disks() const {
    std::vector<model::Image> all;
    for (auto image : guest.images) {
      if (image.role != model::ImageRole::disk) continue;
      image.node = target.node;
      image.parent = {};
      all.push_back(std::move(image));
    }
    return all;
  }
  model::AcceptVm accept() const {
    model::AcceptVm work{.guest = guest, .source = source.node, .disks = {}};
    work.guest.vm.node = target.node;
    work.guest.vm.lease = 8;
    work.guest.images = disks();
    for (const auto& disk : work.guest.images) work.disks.push_back({.image = disk.id, .room = 1_GiB});
    return work;
  }
  model::MigrateVm migrate(const model::MigrationGate& gate) const {
    return {.vm = guest.vm.id,
            .lease = guest.vm.lease,
            .target = target.node,
            .gate = gate,
            .token = 8,
            .leaving = {source.pool_record}};
  }
  model::SettleVm settle(bool given_up = true) const {
    return {.vm = guest.vm.id, .disks = disks(), .pools = {target.pool_record}, .given_up = given_up};
  }
  model::ClearDisk clear(const model::Image& disk) const {
    return {.vm = guest.vm.id, .lease = 8, .image = disk, .pool = source.pool_record};
  }

  // On both sides: which of the two files of each disk counts as whole.
  bool kept_by_target() const {
    const auto all = disks();
    return std::all_of(all.begin(), all.end(), [&](const auto& disk) { return target.pool->inspect(disk); });
  }
  bool has_any(const Host& host) const {
    const auto all = disks();
    return std::any_of(all.begin(), all.end(), [&](const auto& disk) { return host.pool->has(disk.id); });
  }
  std::optional<model::LeaseStamp> stamp(const Host& host) const { return *host.pool->read_lease(guest.vm.id); }

  Host source;
  Host target;
  model::EnsureVm guest;
};

struct LocalMigration : ::testing::Test, Pair {
  model::MigrationGate accepted(Node& node) {
    const auto end = node.carry_out(accept());
    EXPECT_EQ(end.state, AssignmentState::succeeded) << (end.error ? end.error->describe() : "");
    return end.gate.value_or(model::MigrationGate{});
  }
  void expect_here_alone(const AssignmentReport& end) {
    EXPECT_NE(end.state, AssignmentState::succeeded);
    EXPECT_TRUE(end.guest_is_here);
    EXPECT_FALSE(kept_by_target());
  }
};

TEST_F(LocalMigration, TheTargetMakesFilesThatNobodyTakesForDisks) {
  Node node(target);
  const auto gate = accepted(node);
  ASSERT_EQ(gate.disks.size(), 2u);
  EXPECT_EQ(gate.disks[0].name, "disk0");
  EXPECT_EQ(gate.disks[0].format, model::ImageFormat::qcow2);
  EXPECT_EQ(gate.disks[0].size, 4_GiB);
  EXPECT_EQ(gate.disks[1].format, model::ImageFormat::raw);
  EXPECT_TRUE(has_any(target));
  EXPECT_FALSE(kept_by_target());
  EXPECT_EQ(stamp(target)->token, 8u);
  EXPECT_EQ(accepted(node).disks, gate.disks) << "and once more";
}

TEST_F(LocalMigration, TheTargetTouchesNoDiskThatItHas) {
  Node node(target);
  const auto disk = disks()[1];
  ASSERT_TRUE(target.pool->create_disk(disk, nullptr, 4_GiB));
  const auto end = node.carry_out(accept());
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_EQ(end.error->code, ErrorCode::conflict);
  EXPECT_TRUE(target.pool->inspect(disk)) << "it is as it was";
  EXPECT_FALSE(target.pool->has(disks()[0].id));
}

TEST_F(LocalMigration, TheTargetNeedsRoomForAllOfThem) {
  Node node(target);
  target.pool->set_available(1536_MiB);
  const auto end = node.carry_out(accept());
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_EQ(end.error->code, ErrorCode::resource_exhausted);
  EXPECT_FALSE(has_any(target));
}

TEST_F(LocalMigration, AGuestThatMovesTakesItsDisksAlong) {
  Node there(target);
  Node here(source);
  const auto end = here.carry_out(migrate(accepted(there)));
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  const auto route = source.hypervisor.route();
  ASSERT_EQ(route.copied.size(), 2u);
  EXPECT_EQ(route.copied[0].path.filename(), disks()[0].id.str() + ".qcow2");
  EXPECT_EQ(source.state(guest.vm.id), GuestState::absent);
  EXPECT_FALSE(here.journal().applied(guest.vm.id));
  EXPECT_EQ(target.state(guest.vm.id), GuestState::running) << "it goes on, though the manager knows nothing yet";
  EXPECT_TRUE(kept_by_target());
  EXPECT_EQ(stamp(source)->token, 8u) << "nobody starts it from the old files";
  EXPECT_EQ(stamp(source)->node, target.node);

  for (const auto& disk : disks()) {
    const auto cleared = here.carry_out(clear(disk));
    EXPECT_EQ(cleared.state, AssignmentState::succeeded) << cleared.error->describe();
  }
  EXPECT_FALSE(has_any(source));
  EXPECT_FALSE(stamp(source));
  EXPECT_EQ(here.journal().meta(given_up(guest.vm.id)), "");
}

TEST_F(LocalMigration, AGuestThatWasPausedStaysSo) {
  guest.vm.spec.power = model::PowerState::paused;
  Node there(target);
  Node here(source);
  ASSERT_EQ(here.carry_out(migrate(accepted(there))).state, AssignmentState::succeeded);
  EXPECT_EQ(target.state(guest.vm.id), GuestState::paused);
  EXPECT_TRUE(kept_by_target());
}

TEST_F(LocalMigration, WhateverFailsBeforeItIsGivenUpLeavesItAtTheSource) {
  Node there(target);
  Node here(source);
  auto gate = accepted(there);
  source.hypervisor.fail_next("migrate", {ErrorCode::io_error, "the mirror broke", {}});
  expect_here_alone(here.carry_out(migrate(gate)));
  // The target's last word was lost: libvirt leaves it paused, or lets it go on. The target can't go on meanwhile.
  source.hypervisor.set_state(guest.vm.id, GuestState::paused);
  source.hypervisor.fail_next("migrate", {ErrorCode::io_error, "the last word was lost", {}});
  expect_here_alone(here.carry_out(migrate(accepted(there))));
  source.hypervisor.set_state(guest.vm.id, GuestState::stopped);
  const auto off = here.carry_out(migrate(accepted(there)));
  expect_here_alone(off);
  EXPECT_THAT(off.error->message, HasSubstr("shut down on the way"));

  source.hypervisor.set_state(guest.vm.id, GuestState::running);
  source.hypervisor.set_migrating(guest.vm.id, true);
  source.hypervisor.fail_next("migrate", {ErrorCode::io_error, "who knows", {}});
  const auto open = here.carry_out(migrate(accepted(there)));
  EXPECT_FALSE(open.guest_is_here);
  EXPECT_EQ(open.error->code, ErrorCode::unavailable) << "it is asked again";
}

TEST_F(LocalMigration, AfterAPowerCutTheSourceSaysThatItMayNotHaveBeenShutDown) {
  Node there(target);
  const model::Assignment work{.operation = source.id<model::OperationId>(), .body = migrate(accepted(there))};
  {
    Node here(source);
    ASSERT_TRUE(here.journal().receive(work));
  }
  source.hypervisor.set_state(guest.vm.id, GuestState::stopped);
  Node again(source);
  again.executor().recover();
  const auto end = again.end_of(work.operation);
  expect_here_alone(end);
  EXPECT_EQ(end.error->code, ErrorCode::unavailable);
}

// It may come back before the source has heard of the move that the target has let in.
TEST_F(LocalMigration, AGuestThatAPowerCutEndedBeforeItsMoveWasNotShutDown) {
  Node there(target);
  Node here(source);
  const auto gate = accepted(there);
  source.hypervisor.cut_power(guest.vm.id);
  const auto end = here.carry_out(migrate(gate));
  expect_here_alone(end);
  EXPECT_EQ(end.error->code, ErrorCode::unavailable);
}

TEST_F(LocalMigration, WhatCameInVainIsClearedAway) {
  Node there(target);
  accepted(there);
  target.hypervisor.come_in({.id = guest.vm.id}, GuestState::paused);
  for (const auto& disk : disks()) {
    ASSERT_EQ(there.carry_out(clear(disk)).state, AssignmentState::succeeded);
  }
  target.expect_no_trace(guest);
  EXPECT_EQ(source.state(guest.vm.id), GuestState::running);
}

TEST_F(LocalMigration, NoDiskOfARunningGuestIsClearedAway) {
  Node here(source);
  auto work = clear(disks()[1]);
  auto refused = here.carry_out(work);
  ASSERT_EQ(refused.state, AssignmentState::failed);
  EXPECT_EQ(refused.error->code, ErrorCode::failed_precondition);
  work.guest_is_here = true;
  work.disks = {"disk0", "disk1"};
  refused = here.carry_out(work);
  ASSERT_EQ(refused.state, AssignmentState::failed);
  EXPECT_THAT(refused.error->message, HasSubstr("the guest uses"));
  EXPECT_TRUE(source.has_disks_of(guest));
  EXPECT_EQ(source.state(guest.vm.id), GuestState::running);
}

TEST_F(LocalMigration, WithoutAnAnswerTheTargetIsAskedAndKeepsTheGuest) {
  Node there(target);
  Node here(source);
  const auto gate = accepted(there);
  target.hypervisor.fail_next("get", {ErrorCode::unavailable, "libvirtd is away", {}}, 3);
  const auto end = here.carry_out(migrate(gate));
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_FALSE(end.guest_is_here);
  EXPECT_NE(end.error->code, ErrorCode::unavailable) << "this node has given it up";
  EXPECT_EQ(target.state(guest.vm.id), GuestState::paused);
  EXPECT_FALSE(kept_by_target());
  EXPECT_TRUE(there.carry_out(settle()).guest_is_here);
  EXPECT_TRUE(kept_by_target());
}

TEST_F(LocalMigration, AMoveThatNobodyHeardOfIsOne) {
  Node there(target);
  Node here(source);
  source.hypervisor.fail_next("last word", {ErrorCode::io_error, "the connection broke", {}});
  EXPECT_EQ(here.carry_out(migrate(accepted(there))).state, AssignmentState::succeeded);
  EXPECT_EQ(target.state(guest.vm.id), GuestState::running);
}

TEST_F(LocalMigration, SettlingKeepsWhatHasComeInWhole) {
  Node there(target);
  accepted(there);
  auto end = there.carry_out(settle());
  ASSERT_EQ(end.state, AssignmentState::succeeded);
  EXPECT_FALSE(end.guest_is_here);
  EXPECT_FALSE(kept_by_target());

  // The source may have let it go on.
  target.hypervisor.come_in({.id = guest.vm.id}, GuestState::paused);
  end = there.carry_out(settle(false));
  ASSERT_EQ(end.state, AssignmentState::succeeded);
  EXPECT_FALSE(end.guest_is_here);
  EXPECT_FALSE(kept_by_target());
  EXPECT_EQ(target.state(guest.vm.id), GuestState::absent);

  target.hypervisor.come_in({.id = guest.vm.id}, GuestState::paused);
  end = there.carry_out(settle());
  ASSERT_EQ(end.state, AssignmentState::succeeded);
  EXPECT_TRUE(end.guest_is_here);
  EXPECT_TRUE(kept_by_target());

  EXPECT_TRUE(target.hypervisor.remove(guest.vm.id));  // a node without a disk was reset
  EXPECT_TRUE(there.carry_out(settle()).guest_is_here) << "its disks say that it was taken over here";
}

// The source's agent dies at any step: exactly one of the two has the guest in the end, with whole disks.
TEST(LocalMigrationCrash, AnyStepOfTheSourceCanBeTheLast) {
  int moved = 0;
  int stayed = 0;
  for (int die_at = 1; die_at < 100; ++die_at) {
    Pair pair;
    Node there(pair.target);
    const auto accepted = there.carry_out(pair.accept());
    ASSERT_TRUE(accepted.gate);
    const model::Assignment work{.operation = pair.source.id<model::OperationId>(),
                                 .body = pair.migrate(*accepted.gate)};
    const auto point = std::make_shared<CrashPoint>(die_at);
    Node killed(pair.source, point);
    std::thread manager([&] { killed.executor().assign(work); });
    killed.end_of(work.operation);
    const bool died = point->is_dead();
    if (died) point->wait_quiet();
    SCOPED_TRACE(died ? fmt::format("killed at step {}: {}", die_at, point->where()) : "not killed");
    Node again(pair.source);
    again.executor().recover();
    again.executor().assign(work);
    const auto end = again.end_of(work.operation);
    const bool here = pair.source.state(pair.guest.vm.id) == GuestState::running;
    // It was given up, and the answer of the target was lost: the target is asked.
    const bool given_up = end.state != AssignmentState::succeeded && !end.guest_is_here;
    if (given_up) {
      EXPECT_NE(end.error->code, ErrorCode::unavailable);
      EXPECT_TRUE(there.carry_out(pair.settle()).guest_is_here);
    }
    if (end.state == AssignmentState::succeeded || given_up) {
      ++moved;
      EXPECT_FALSE(here);
      EXPECT_EQ(pair.target.state(pair.guest.vm.id), GuestState::running);
      EXPECT_TRUE(pair.kept_by_target());
    } else {
      ++stayed;
      EXPECT_TRUE(end.guest_is_here) << end.error->describe();
      EXPECT_TRUE(here);
      EXPECT_EQ(pair.target.state(pair.guest.vm.id), GuestState::absent);
      EXPECT_FALSE(pair.kept_by_target());
    }
    if (died) point->release();
    manager.join();
    if (::testing::Test::HasFailure()) return;
    if (!died) break;
  }
  EXPECT_GT(moved, 3);
  EXPECT_GT(stayed, 2);
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
