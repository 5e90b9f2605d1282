// Disks that move between pools and disks that are flattened: at any time exactly one file is the disk, and it is the
// one that the guest uses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

using ::testing::HasSubstr;

struct DiskMoves : ::testing::Test {
  DiskMoves() { guest = created(host, model::PowerState::running); }

  static model::EnsureVm created(Host& host, model::PowerState power) {
    auto work = host.new_vm();
    work.vm.spec.power = power;
    Node node(host);
    const auto end = node.carry_out(work);
    EXPECT_EQ(end.state, AssignmentState::succeeded) << (end.error ? end.error->describe() : "");
    node.executor().acknowledge(end.operation);
    return work;
  }

  static model::MoveDisk move_of(Host& host, const model::EnsureVm& guest, const char* name) {
    const auto& to = host.pool_records.empty() ? host.add_pool("fast") : host.pool_records.front();
    return {.vm = guest.vm.id,
            .lease = guest.vm.lease,
            .disk = name,
            .image = image_of(guest, name),
            .from = host.pool_record,
            .to = to,
            .others_stay = true};
  }
  static model::Image image_of(const model::EnsureVm& guest, const char* name) {
    for (const auto& disk : guest.vm.spec.disks) {
      if (disk.name != name) continue;
      for (const auto& image : guest.images) {
        if (image.id == disk.image) return image;
      }
    }
    return {};
  }
  static std::filesystem::path used(Host& host, const model::MoveDisk& move) {
    const auto use = host.hypervisor.disk_in_use(move.vm, move.disk);
    return use && *use ? (*use)->disk.path : std::filesystem::path();
  }

  // The disk is in one pool only, the guest uses that file, its lease is stamped there, nothing goes on.
  static void expect_in(Host& host, const model::MoveDisk& move, bool moved) {
    const auto to = host.pool_of(move.to.id);
    EXPECT_EQ(to->has(move.image.id), moved);
    EXPECT_EQ(host.pool->has(move.image.id), !moved);
    const auto& in = moved ? to : host.pool;
    const auto stored = in->inspect(move.image);
    ASSERT_TRUE(stored) << stored.error().describe();
    if (!move.vm.empty()) {
      EXPECT_EQ(used(host, move), stored->path);
      EXPECT_EQ(host.hypervisor.copying_to(move.vm, move.disk), "");
      EXPECT_EQ(to->read_lease(move.vm)->has_value(), moved);
      EXPECT_EQ(in->read_lease(move.vm)->value_or(model::LeaseStamp{}).token, move.lease);
    }
  }

  Host host;
  model::EnsureVm guest;
};

TEST_F(DiskMoves, ARunningGuestsDiskMoves) {
  const auto move = move_of(host, guest, "disk0");
  Node node(host);
  const auto end = node.carry_out(move);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  expect_in(host, move, true);
  ASSERT_EQ(end.images.size(), 1U);
  EXPECT_EQ(end.images[0].pool, move.to.id);
  EXPECT_EQ(end.images[0].parent, model::ImageId()) << "it needs no golden image any more";
  EXPECT_EQ(end.images[0].format, model::ImageFormat::qcow2) << "as before, for its snapshots";
  EXPECT_EQ(host.state(move.vm), GuestState::running);
  const auto pools = node.journal().applied(move.vm)->pools;
  EXPECT_THAT(pools, ::testing::UnorderedElementsAre(move.from.id, move.to.id)) << "where its lease is stamped";
}

TEST_F(DiskMoves, TheLeaseIsStampedInTheNewPoolBeforeTheGuestGoesOver) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.hold_disk_jobs(true);
  Node node(host);
  const auto work = node.assignment(move);
  node.executor().assign(work);
  ASSERT_TRUE(node.wait([&] { return !host.hypervisor.copying_to(move.vm, "disk0").empty(); }));
  EXPECT_EQ(host.pool_of(move.to.id)->read_lease(move.vm)->value().token, move.lease);
  EXPECT_FALSE(host.pool_of(move.to.id)->inspect(move.image)) << "not seen while it is half made";
  EXPECT_EQ(used(host, move), host.pool->inspect(move.image)->path);
  host.hypervisor.hold_disk_jobs(false);
  EXPECT_EQ(node.end_of(work.operation).state, AssignmentState::succeeded);
  expect_in(host, move, true);
}

TEST_F(DiskMoves, WithItsLastDiskTheLeaseLeavesTheOldPool) {
  auto move = move_of(host, guest, "disk0");
  move.others_stay = false;
  Node node(host);
  ASSERT_EQ(node.carry_out(move).state, AssignmentState::succeeded);
  EXPECT_FALSE(host.pool->read_lease(move.vm)->has_value());
  EXPECT_EQ(node.journal().applied(move.vm)->pools, std::vector{move.to.id});
}

TEST_F(DiskMoves, ABlankDiskOfAPoolWithoutHolesBecomesQcow2) {
  auto move = move_of(host, guest, "disk1");
  host.pool_of(move.to.id)->set_punch_hole(false);
  Node node(host);
  const auto end = node.carry_out(move);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  EXPECT_EQ(end.images[0].format, model::ImageFormat::qcow2) << "a raw one would be written full of zeros";
}

TEST_F(DiskMoves, AStoppedGuestsDiskMoves) {
  auto stopped = created(host, model::PowerState::stopped);
  const auto move = move_of(host, stopped, "disk0");
  Node node(host);
  const auto end = node.carry_out(move);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  expect_in(host, move, true);
  EXPECT_EQ(host.hypervisor.count_calls("move_disk"), 0U);
  EXPECT_EQ(host.hypervisor.count_calls("use_file"), 1U);
}

TEST_F(DiskMoves, ADetachedDiskMoves) {
  model::Image disk{.id = host.id<model::ImageId>(), .name = "kept", .role = model::ImageRole::disk};
  ASSERT_TRUE(host.pool->create_disk(disk, nullptr, 1_GiB));
  const model::MoveDisk move{.image = disk, .from = host.pool_record, .to = host.add_pool("fast")};
  Node node(host);
  const auto end = node.carry_out(move);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  EXPECT_TRUE(host.pool_of(move.to.id)->has(disk.id));
  EXPECT_FALSE(host.pool->has(disk.id));
}

TEST_F(DiskMoves, WhatCanBeRefusedIsRefusedBeforeAnythingIsMade) {
  const auto move = move_of(host, guest, "disk0");
  const auto refused = [&](const model::MoveDisk& work, const char* why) {
    Node node(host);
    const auto end = node.carry_out(work);
    ASSERT_EQ(end.state, AssignmentState::failed);
    EXPECT_THAT(end.error->message, HasSubstr(why));
    EXPECT_NE(end.error->code, ErrorCode::unavailable) << "it is an end";
    EXPECT_EQ(host.hypervisor.count_calls("move_disk"), 0U);
    expect_in(host, move, false);
  };
  auto older = move;
  older.lease = move.lease - 1;
  refused(older, "newer lease");
  host.pool_of(move.to.id)->set_available(Bytes(1));
  refused(move, "left");
  host.pool_of(move.to.id)->set_available(1_GiB);
  host.pool_of(move.to.id)->set_direct_io(false);
  refused(move, "page cache");
  host.pool_of(move.to.id)->set_direct_io(true);
  host.pool_of(move.to.id)->fail_next("attach", {ErrorCode::io_error, "no such mount", {}});
  refused(move, "no such mount");
  ASSERT_TRUE(host.hypervisor.create_snapshot(move.vm, "before"));
  refused(move, "snapshots");
}

TEST_F(DiskMoves, ACopyThatFailsLeavesTheGuestWhereItIs) {
  const auto move = move_of(host, guest, "disk0");
  for (const char* step : {"copy", "pivot"}) {
    host.hypervisor.fail_next(step, {ErrorCode::resource_exhausted, "No space left on device", {}});
    Node node(host);
    const auto end = node.carry_out(move);
    ASSERT_EQ(end.state, AssignmentState::failed) << step;
    EXPECT_EQ(end.error->code, ErrorCode::resource_exhausted);
    expect_in(host, move, false);
  }
  host.pool_of(move.to.id)->fail_next("end_copy", {ErrorCode::timeout, "pool fast does not answer", {}});
  Node node(host);
  EXPECT_EQ(node.carry_out(move).state, AssignmentState::failed);
  expect_in(host, move, false);
}

TEST_F(DiskMoves, AnAnswerThatIsLostAfterThePivotIsAskedFor) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.fail_next("answer", {ErrorCode::io_error, "the connection broke", {}});
  Node node(host);
  EXPECT_EQ(node.carry_out(move).state, AssignmentState::succeeded) << "libvirt says where the guest is";
  expect_in(host, move, true);
}

TEST_F(DiskMoves, WhileLibvirtIsAwayItIsNotDecided) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.fail_next("answer", {ErrorCode::io_error, "libvirtd was killed", {}});
  host.hypervisor.hold_disk_jobs(true);
  Node node(host);
  const auto work = node.assignment(move);
  node.executor().assign(work);
  ASSERT_TRUE(node.wait([&] { return !host.hypervisor.copying_to(move.vm, "disk0").empty(); }));
  host.hypervisor.set_unavailable(Error{ErrorCode::unavailable, "libvirtd isn't there", {}});
  host.hypervisor.hold_disk_jobs(false);
  const auto open = node.end_of(work.operation);
  ASSERT_EQ(open.state, AssignmentState::failed);
  EXPECT_EQ(open.error->code, ErrorCode::unavailable) << "the manager asks again";
  EXPECT_TRUE(host.pool->has(move.image.id));
  EXPECT_TRUE(host.pool_of(move.to.id)->has(move.image.id)) << "neither is removed";

  node.executor().acknowledge(work.operation);
  host.hypervisor.set_unavailable({});
  Node again(host);
  again.executor().assign(work);
  EXPECT_EQ(again.end_of(work.operation).state, AssignmentState::succeeded);
  expect_in(host, move, true);
}

// The main use: off a pool that fails. Were the half copy marked whole now, it would be the disk after a power cut.
TEST_F(DiskMoves, WhileItsOldPoolIsAwayAHalfCopyIsNotTakenForWhole) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.hold_disk_jobs(true);
  {
    Node node(host);
    const auto work = node.assignment(move);
    node.executor().assign(work);
    ASSERT_TRUE(node.wait([&] { return !host.hypervisor.copying_to(move.vm, "disk0").empty(); }));
    host.pool->set_away(true);
    node.executor().cancel(work.operation);
    const auto open = node.end_of(work.operation);
    ASSERT_EQ(open.state, AssignmentState::failed);
    EXPECT_EQ(open.error->code, ErrorCode::unavailable) << "the manager asks again";
    node.executor().acknowledge(work.operation);
  }
  EXPECT_FALSE(host.pool_of(move.to.id)->copied_by(move.image)->has_value());
  EXPECT_FALSE(host.pool_of(move.to.id)->inspect(move.image));
  host.pool->set_away(false);
  EXPECT_TRUE(host.pool->has(move.image.id)) << "the only whole one";
  host.hypervisor.hold_disk_jobs(false);
  EXPECT_EQ(Node(host).carry_out(move).state, AssignmentState::succeeded);
  expect_in(host, move, true);
}

TEST_F(DiskMoves, WhatIsNotDecidedIsNotedUntilItIs) {
  const auto move = move_of(host, guest, "disk0");
  const model::Assignment work{.operation = host.id<model::OperationId>(), .body = move};
  const auto to = host.pool_of(move.to.id);
  to->attach();
  ASSERT_TRUE(to->begin_copy(work.operation, move.image, model::ImageFormat::qcow2, 4_GiB));
  ASSERT_TRUE(to->end_copy(move.image));
  host.hypervisor.set_state(move.vm, GuestState::stopped);
  host.hypervisor.set_unavailable(Error{ErrorCode::unavailable, "libvirtd isn't there", {}});
  {
    Node node(host);
    ASSERT_TRUE(node.journal().set_meta(undecided_move(move.vm), work.operation.str()));
    node.executor().assign(work);
    ASSERT_EQ(node.end_of(work.operation).error->code, ErrorCode::unavailable);
    node.executor().acknowledge(work.operation);
  }
  host.hypervisor.set_unavailable({});
  Node again(host);
  EXPECT_EQ(again.journal().meta(undecided_move(move.vm)), work.operation.str()) << "also by the next agent";
  again.executor().assign(work);
  EXPECT_EQ(again.end_of(work.operation).state, AssignmentState::succeeded);
  EXPECT_EQ(again.journal().meta(undecided_move(move.vm)), "");
  EXPECT_TRUE(host.store->list("meta/undecided_move/")->empty());
}

TEST_F(DiskMoves, AfterAPowerCutTheGuestIsStartedFirst) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.hold_disk_jobs(true);
  const model::Assignment work{.operation = host.id<model::OperationId>(), .body = move};
  {
    Node node(host);
    node.executor().assign(work);
    ASSERT_TRUE(node.wait([&] { return !host.hypervisor.copying_to(move.vm, "disk0").empty(); }));
    node.executor().stop();
  }
  host.hypervisor.set_state(move.vm, GuestState::stopped);
  host.hypervisor.hold_disk_jobs(false);
  Node again(host);
  again.executor().recover();
  const auto open = again.end_of(work.operation);
  ASSERT_EQ(open.state, AssignmentState::failed);
  EXPECT_EQ(open.error->code, ErrorCode::unavailable) << "the manager asks again";
  EXPECT_TRUE(host.pool->has(move.image.id));
}

TEST_F(DiskMoves, CancelledTheCopyIsEndedAndRemoved) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.hold_disk_jobs(true);
  Node node(host);
  const auto work = node.assignment(move);
  node.executor().assign(work);
  ASSERT_TRUE(node.wait([&] { return !host.hypervisor.copying_to(move.vm, "disk0").empty(); }));
  node.executor().cancel(work.operation);
  EXPECT_EQ(node.end_of(work.operation).state, AssignmentState::cancelled);
  expect_in(host, move, false);
}

TEST_F(DiskMoves, AnAgentThatStopsLeavesTheCopyToItsNextRun) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.hold_disk_jobs(true);
  const model::Assignment work{.operation = host.id<model::OperationId>(), .body = move};
  {
    Node node(host);
    node.executor().assign(work);
    ASSERT_TRUE(node.wait([&] { return !host.hypervisor.copying_to(move.vm, "disk0").empty(); }));
    node.executor().stop();
  }
  EXPECT_NE(host.hypervisor.copying_to(move.vm, "disk0"), "") << "QEMU goes on with it";
  host.hypervisor.hold_disk_jobs(false);
  Node again(host);
  again.executor().recover();
  EXPECT_EQ(again.end_of(work.operation).state, AssignmentState::succeeded);
  expect_in(host, move, true);
  const auto calls = host.pool_of(move.to.id)->calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "begin_copy " + move.image.id.str()), 1) << "not from the start";
}

// QEMU ended while the guest went over, and libvirt still names the old file: only the copy has all writes.
TEST_F(DiskMoves, AGuestThatDiedAtTheMomentOfGoingOverIsInTheCopy) {
  const auto move = move_of(host, guest, "disk0");
  const model::Assignment work{.operation = host.id<model::OperationId>(), .body = move};
  const auto to = host.pool_of(move.to.id);
  to->attach();
  ASSERT_TRUE(to->begin_copy(work.operation, move.image, model::ImageFormat::qcow2, 4_GiB));
  ASSERT_TRUE(to->stamp_lease({.vm = move.vm, .node = host.node, .token = move.lease}));
  host.hypervisor.set_state(move.vm, GuestState::crashed);
  ASSERT_TRUE(to->end_copy(move.image));
  Node node(host);
  node.executor().assign(work);
  EXPECT_EQ(node.end_of(work.operation).state, AssignmentState::succeeded);
  expect_in(host, move, true);
  EXPECT_EQ(host.hypervisor.count_calls("use_file"), 1U);
  const auto calls = to->calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "copy_disk " + move.image.id.str()), 0);
}

// The copy was being given up when QEMU went over to it after all.
TEST_F(DiskMoves, AGuestThatRunsInTheCopyKeepsItWhateverTheMarkSays) {
  const auto move = move_of(host, guest, "disk0");
  const model::Assignment work{.operation = host.id<model::OperationId>(), .body = move};
  const auto to = host.pool_of(move.to.id);
  to->attach();
  const auto copy = to->begin_copy(work.operation, move.image, model::ImageFormat::qcow2, 4_GiB);
  ASSERT_TRUE(copy);
  ASSERT_TRUE(to->stamp_lease({.vm = move.vm, .node = host.node, .token = move.lease}));
  host.hypervisor.set_state(move.vm, GuestState::stopped);
  ASSERT_TRUE(host.hypervisor.use_file(move.vm, {.name = "disk0", .path = copy->path, .format = copy->format}));
  host.hypervisor.set_state(move.vm, GuestState::running);
  Node node(host);
  node.executor().assign(work);
  node.executor().cancel(work.operation);
  EXPECT_EQ(node.end_of(work.operation).state, AssignmentState::succeeded);
  expect_in(host, move, true);
}

TEST_F(DiskMoves, TheGuestDoesNotGoOverToACopyThatWasRemoved) {
  const auto move = move_of(host, guest, "disk0");
  host.hypervisor.hold_disk_jobs(true);
  Node node(host);
  const auto work = node.assignment(move);
  node.executor().assign(work);
  ASSERT_TRUE(node.wait([&] { return !host.hypervisor.copying_to(move.vm, "disk0").empty(); }));
  ASSERT_TRUE(host.pool_of(move.to.id)->remove(move.image));
  host.hypervisor.hold_disk_jobs(false);
  EXPECT_EQ(node.end_of(work.operation).state, AssignmentState::failed);
  expect_in(host, move, false);
}

// The node was switched off, and with it went libvirt's knowledge of the guest.
TEST_F(DiskMoves, WithoutTheGuestTheMarkInThePoolCounts) {
  for (const bool whole : {false, true}) {
    Host fresh;
    const auto lost = created(fresh, model::PowerState::running);
    const auto move = move_of(fresh, lost, "disk0");
    const model::Assignment work{.operation = fresh.id<model::OperationId>(), .body = move};
    const auto to = fresh.pool_of(move.to.id);
    to->attach();
    ASSERT_TRUE(to->begin_copy(work.operation, move.image, model::ImageFormat::raw, 4_GiB));
    if (whole) {
      ASSERT_TRUE(to->end_copy(move.image));
    }
    ASSERT_TRUE(fresh.hypervisor.remove(move.vm));
    Node node(fresh);
    node.executor().assign(work);
    EXPECT_EQ(node.end_of(work.operation).state, AssignmentState::succeeded);
    EXPECT_FALSE(fresh.pool->has(move.image.id));
    EXPECT_EQ(to->inspect(move.image)->format, whole ? model::ImageFormat::raw : model::ImageFormat::qcow2)
        << "what wasn't whole is copied anew";
  }
}

// A crash at any step of it ends with the disk moved.
TEST(DiskMovesCrash, AnyStepCanBeTheLast) {
  for (const auto power : {model::PowerState::running, model::PowerState::stopped}) {
    for (int die_at = 1; die_at < 200; ++die_at) {
      Host host;
      const auto guest = DiskMoves::created(host, power);
      const auto move = DiskMoves::move_of(host, guest, "disk0");
      const model::Assignment work{.operation = host.id<model::OperationId>(), .body = move};
      const auto point = std::make_shared<CrashPoint>(die_at);
      Node killed(host, point);
      std::thread manager([&] { killed.executor().assign(work); });
      killed.end_of(work.operation);
      const bool died = point->is_dead();
      if (died) point->wait_quiet();
      SCOPED_TRACE(died ? fmt::format("killed at step {}: {}", die_at, point->where()) : "not killed");
      Node again(host);
      again.executor().recover();
      again.executor().assign(work);
      EXPECT_EQ(again.end_of(work.operation).state, AssignmentState::succeeded);
      DiskMoves::expect_in(host, move, true);
      if (died) point->release();
      manager.join();
      if (::testing::Test::HasFailure()) return;
      if (died) continue;
      EXPECT_GT(die_at, 8);
      break;
    }
  }
}

struct Flattening : DiskMoves {
  Flattening() {
    work = {.vm = guest.vm.id,
            .lease = guest.vm.lease,
            .disk = "disk0",
            .image = image_of(guest, "disk0"),
            .pool = host.pool_record};
  }
  std::filesystem::path backing() { return (*host.hypervisor.disk_in_use(work.vm, "disk0"))->disk.backing; }

  model::FlattenDisk work;
};

TEST_F(Flattening, UnderARunningGuest) {
  ASSERT_NE(backing(), "");
  Node node(host);
  const auto end = node.carry_out(work);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  EXPECT_EQ(backing(), "");
  ASSERT_EQ(end.images.size(), 1U);
  EXPECT_EQ(end.images[0].parent, model::ImageId());
  EXPECT_EQ(end.images[0].pool, work.image.pool);
}

TEST_F(Flattening, OfAStoppedGuestTakesTheGoldenImageOutOfItsDefinition) {
  host.hypervisor.set_state(work.vm, GuestState::stopped);
  Node node(host);
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ(backing(), "");
  EXPECT_EQ(host.hypervisor.count_calls("flatten_disk"), 0U);
}

TEST_F(Flattening, CancelledOrRefusedItKeepsItsGoldenImage) {
  host.hypervisor.hold_disk_jobs(true);
  Node node(host);
  const auto assignment = node.assignment(work);
  node.executor().assign(assignment);
  ASSERT_TRUE(node.wait([&] { return host.hypervisor.count_calls("flatten_disk") == 1; }));
  node.executor().cancel(assignment.operation);
  EXPECT_EQ(node.end_of(assignment.operation).state, AssignmentState::cancelled);
  EXPECT_EQ(host.hypervisor.count_calls("end_disk_job"), 1U);
  EXPECT_NE(backing(), "");
  host.hypervisor.hold_disk_jobs(false);
  ASSERT_TRUE(host.hypervisor.create_snapshot(work.vm, "before"));
  const auto end = node.carry_out(work);
  EXPECT_EQ(end.state, AssignmentState::failed);
  EXPECT_THAT(end.error->message, HasSubstr("snapshots"));
  EXPECT_NE(backing(), "");
}

// A disk that was there and isn't any more is never made anew in silence.
TEST_F(DiskMoves, AMissingDiskIsNotReplacedByAnEmptyOne) {
  auto again = guest;
  again.vm.generation = 2;
  for (auto& image : again.images) image.state = model::ImageState::ready;
  ASSERT_TRUE(host.pool->remove(image_of(guest, "disk1")));
  Node node(host);
  const auto end = node.carry_out(again);
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_THAT(end.error->message, HasSubstr("gone from its pool"));
  EXPECT_FALSE(host.pool->has(image_of(guest, "disk1").id));
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
