// The kinds beside ensure_vm: remove, reboot, snapshots, images, pools, networks.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "host_agent/assignments/import_paths.h"
#include "host_agent/remembered.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

namespace fs = std::filesystem;

class OtherAssignments : public ::testing::Test {
 protected:
  model::EnsureVm created() {
    auto work = host_.new_vm();
    EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
    return work;
  }
  void expect_failed(const AssignmentReport& end, ErrorCode code, std::string_view part) {
    ASSERT_EQ(end.state, AssignmentState::failed);
    EXPECT_EQ(end.error->code, code);
    EXPECT_NE(end.error->message.find(part), std::string::npos) << end.error->message;
  }
  model::ImportImage import_of(model::ImageSourceKind kind, const std::string& location = {}) {
    model::ImportImage work;
    work.image = {.id = host_.id<model::ImageId>(), .name = "new", .pool = host_.pool_record.id};
    work.pool = host_.pool_record;
    work.source = {.kind = kind, .location = location};
    return work;
  }

  Host host_;
  Node node_{host_};
};

TEST_F(OtherAssignments, RemoveTakesEverythingAndAgainIsFine) {
  const auto vm = created();
  EXPECT_EQ(node_.carry_out(host_.removal(vm)).state, AssignmentState::succeeded);
  host_.expect_no_trace(vm);
  EXPECT_EQ(node_.carry_out(host_.removal(vm)).state, AssignmentState::succeeded);
}

TEST_F(OtherAssignments, RemoveKeepsDisksThatAreLeasedElsewhere) {
  const auto vm = created();
  ASSERT_TRUE(host_.pool->stamp_lease({.vm = vm.vm.id, .node = host_.id<model::NodeId>(), .token = 50}));
  expect_failed(node_.carry_out(host_.removal(vm)), ErrorCode::failed_precondition, "under token 50");
  EXPECT_TRUE(host_.has_disks_of(vm));
  EXPECT_EQ(host_.state(vm.vm.id), GuestState::absent);  // it must not run here
}

TEST_F(OtherAssignments, RebootNeedsARunningGuestOfThisLease) {
  const auto vm = created();
  EXPECT_EQ(node_.carry_out(model::RebootVm{.vm = vm.vm.id, .lease = 7, .force = true}).state,
            AssignmentState::succeeded);
  expect_failed(node_.carry_out(model::RebootVm{.vm = vm.vm.id, .lease = 6}), ErrorCode::failed_precondition,
                "newer lease 7");
  host_.hypervisor.set_state(vm.vm.id, GuestState::stopped);
  expect_failed(node_.carry_out(model::RebootVm{.vm = vm.vm.id, .lease = 7}), ErrorCode::failed_precondition,
                "isn't running");
  expect_failed(node_.carry_out(model::RebootVm{.vm = host_.id<model::VmId>()}), ErrorCode::not_found, "no guest");
}

TEST_F(OtherAssignments, RebootBringsTheChangesThatWait) {
  auto vm = created();
  host_.hypervisor.set_live_changes(false);
  vm.vm.spec.cpus += 1;
  ++vm.vm.generation;
  ASSERT_EQ(node_.carry_out(vm).state, AssignmentState::succeeded);
  ASSERT_TRUE(host_.hypervisor.get(vm.vm.id)->restart_required);
  EXPECT_EQ(node_.carry_out(model::RebootVm{.vm = vm.vm.id, .lease = 7}).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.state(vm.vm.id), GuestState::running);
  EXPECT_FALSE(host_.hypervisor.get(vm.vm.id)->restart_required);
  EXPECT_EQ(host_.hypervisor.get(vm.vm.id)->cpus, vm.vm.spec.cpus);
}

TEST_F(OtherAssignments, Snapshots) {
  const auto vm = created();
  model::SnapshotVm work{.vm = vm.vm.id, .lease = 7, .action = model::SnapshotAction::create, .name = "one"};
  EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  expect_failed(node_.carry_out(work), ErrorCode::already_exists, "'one'");
  work.action = model::SnapshotAction::rollback;
  EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  work.action = model::SnapshotAction::remove;
  EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);  // missing is success
  work.action = model::SnapshotAction::rollback;
  expect_failed(node_.carry_out(work), ErrorCode::not_found, "'one'");
}

TEST_F(OtherAssignments, AnUploadIsFedThroughTheRendezvous) {
  const auto work = node_.assignment(import_of(model::ImageSourceKind::upload));
  node_.executor().assign(work);
  const auto pipe = node_.uploads().offer(work.operation);
  ASSERT_TRUE(pipe);
  EXPECT_FALSE(node_.uploads().offer(work.operation));                                  // one at a time
  for (int i = 0; i < 200; ++i) ASSERT_TRUE((*pipe)->push(std::string(100'000, 'x')));  // far beyond the queue
  (*pipe)->finish();
  const auto end = node_.end_of(work.operation);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  EXPECT_EQ(end.images.at(0).sha256, std::string(64, 'a'));
  EXPECT_EQ(end.images.at(0).format, model::ImageFormat::raw);
}

TEST_F(OtherAssignments, AnUploadThatIsCutOffFailsTheImport) {
  const auto work = node_.assignment(import_of(model::ImageSourceKind::upload));
  node_.executor().assign(work);
  const auto pipe = node_.uploads().offer(work.operation);
  ASSERT_TRUE(pipe);
  ASSERT_TRUE((*pipe)->push("half"));
  (*pipe)->abandon({ErrorCode::io_error, "the sender went away", {}});
  expect_failed(node_.end_of(work.operation), ErrorCode::io_error, "went away");
  EXPECT_FALSE(host_.pool->has(std::get<model::ImportImage>(work.body).image.id));
}

TEST_F(OtherAssignments, CancellingAnUploadWakesBothSides) {
  const auto work = node_.assignment(import_of(model::ImageSourceKind::upload));
  node_.executor().assign(work);
  const auto pipe = node_.uploads().offer(work.operation);
  ASSERT_TRUE(pipe);
  ASSERT_TRUE((*pipe)->push("half"));
  const auto& image = std::get<model::ImportImage>(work.body).image.id;
  ASSERT_TRUE(eventually([&] { return host_.pool->calls().back() == "import_golden " + image.str(); }));
  node_.executor().cancel(work.operation);
  EXPECT_EQ(node_.end_of(work.operation).state, AssignmentState::cancelled);
  EXPECT_FALSE((*pipe)->push("more"));
}

TEST_F(OtherAssignments, AnUploadIsRefusedWhenItsImportHasEnded) {
  const auto work = node_.assignment(import_of(model::ImageSourceKind::upload));
  node_.executor().assign(work);
  node_.executor().cancel(work.operation);
  EXPECT_EQ(node_.end_of(work.operation).state, AssignmentState::cancelled);
  EXPECT_EQ(node_.uploads().offer(work.operation).error().code, ErrorCode::failed_precondition);
}

TEST_F(OtherAssignments, ARunningImportIsCancelledAndWaitingOnesGoOn) {
  host_.pool->hold_imports(true);
  const auto held = node_.assignment(import_of(model::ImageSourceKind::url, "https://images.example/a"));
  node_.executor().assign(held);
  ASSERT_TRUE(node_.wait([&] { return true; }));
  ASSERT_TRUE(eventually([&] { return node_.reports().size() >= 1; }));
  EXPECT_EQ(node_.reports()[0].progress.phase, "import");
  node_.executor().cancel(held.operation);
  EXPECT_EQ(node_.end_of(held.operation).state, AssignmentState::cancelled);
  host_.pool->hold_imports(false);
  EXPECT_EQ(node_.carry_out(import_of(model::ImageSourceKind::url, "https://images.example/b")).state,
            AssignmentState::succeeded);
}

TEST_F(OtherAssignments, ImportFromAnotherPoolsGoldenImage) {
  auto work = import_of(model::ImageSourceKind::image);
  work.source_image = host_.golden;
  work.source_pool = host_.pool_record;
  EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  work = import_of(model::ImageSourceKind::image);
  work.source_image.id = host_.id<model::ImageId>();
  work.source_pool = host_.pool_record;
  EXPECT_EQ(node_.carry_out(work).error->code, ErrorCode::not_found);
}

TEST_F(OtherAssignments, HelpingIsAsLongAsTheLeadersImport) {
  model::HelpImport work;
  work.image = {.id = host_.id<model::ImageId>(), .name = "new", .pool = host_.pool_record.id};
  work.pool = work.source_pool = host_.pool_record;
  work.source_image = host_.golden;
  work.leader = host_.id<model::NodeId>();
  EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.pool->calls().back(), fmt::format("help_import {} {}", work.leader, work.image.id));
  EXPECT_FALSE(host_.pool->has(work.image.id)) << "it publishes nothing";

  host_.pool->hold_imports(true);
  const auto held = node_.assignment(work);
  node_.executor().assign(held);
  ASSERT_TRUE(eventually([&] { return !node_.reports().empty() && node_.reports().back().progress.phase == "copy"; }));
  node_.executor().cancel(held.operation);
  EXPECT_EQ(node_.end_of(held.operation).state, AssignmentState::cancelled);
  host_.pool->hold_imports(false);

  work.source_image.id = host_.id<model::ImageId>();
  EXPECT_EQ(node_.carry_out(work).error->code, ErrorCode::not_found);
}

TEST_F(OtherAssignments, AnImportKnowsWhetherItsAgentStopsOrItsUserCancels) {
  for (const bool agent_stops : {false, true}) {
    host_.pool->hold_imports(true);
    Node node(host_);
    const auto held = node.assignment(import_of(model::ImageSourceKind::url, "https://images.example/a"));
    node.executor().assign(held);
    ASSERT_TRUE(eventually([&] { return !node.reports().empty(); }));
    if (agent_stops) {
      node.executor().stop();
      EXPECT_TRUE(node.journal().is_unfinished(held.operation));
    } else {
      node.executor().cancel(held.operation);
      EXPECT_EQ(node.end_of(held.operation).state, AssignmentState::cancelled);
    }
    EXPECT_EQ(host_.pool->last_stop_was_for_good(), !agent_stops);
    host_.pool->hold_imports(false);
  }
}

TEST_F(OtherAssignments, WhatARunBeforeHasLeftGoesWhereTheImportIsNotRunAgain) {
  const auto resume = [this](const model::Assignment& work) {
    EXPECT_TRUE(node_.journal().receive(work));
    node_.executor().recover();
    return node_.end_of(work.operation);
  };
  const auto collected = [this] {
    const auto calls = host_.pool->calls();
    return std::count(calls.begin(), calls.end(), "collect_garbage");
  };
  auto gone = node_.assignment(import_of(model::ImageSourceKind::image));
  auto& import = std::get<model::ImportImage>(gone.body);
  import.source_image.id = host_.id<model::ImageId>();
  import.source_pool = host_.pool_record;
  EXPECT_EQ(resume(gone).error->code, ErrorCode::not_found);
  EXPECT_EQ(collected(), 2) << "at attach, and for this import";

  auto published = node_.assignment(import_of(model::ImageSourceKind::upload));
  std::get<model::ImportImage>(published.body).image = host_.golden;
  EXPECT_EQ(resume(published).state, AssignmentState::succeeded);
  EXPECT_EQ(collected(), 3);
}

TEST_F(OtherAssignments, ImagesPoolsAndNetworksComeAndGo) {
  EXPECT_EQ(node_.carry_out(model::RemoveImage{host_.golden, host_.pool_record}).state, AssignmentState::succeeded);
  EXPECT_FALSE(host_.pool->has(host_.golden.id));
  EXPECT_EQ(node_.carry_out(model::RemoveImage{host_.golden, host_.pool_record}).state, AssignmentState::succeeded);

  EXPECT_EQ(node_.carry_out(model::EnsurePool{host_.pool_record}).state, AssignmentState::succeeded);
  EXPECT_TRUE(node_.pools().statuses().at(host_.pool_record.id).ready);
  EXPECT_EQ(remembered(node_.journal()).pools, std::vector{host_.pool_record});  // a reboot needs it, manager or not
  EXPECT_EQ(node_.carry_out(model::RemovePool{host_.pool_record}).state, AssignmentState::succeeded);
  EXPECT_TRUE(node_.pools().statuses().empty());
  EXPECT_TRUE(remembered(node_.journal()).pools.empty());
  host_.pool->fail_next("attach", {ErrorCode::permission_denied, "/pool belongs to another pool", {}});
  expect_failed(node_.carry_out(model::EnsurePool{host_.pool_record}), ErrorCode::unavailable,
                "belongs to another pool");
  // Where others could use it, this node will, too, as soon as it can, also after a reboot.
  EXPECT_EQ(remembered(node_.journal()).pools, std::vector{host_.pool_record});
  EXPECT_FALSE(node_.pools().statuses().at(host_.pool_record.id).ready);
  node_.pools().mend();
  EXPECT_TRUE(node_.pools().statuses().at(host_.pool_record.id).ready);

  EXPECT_EQ(node_.carry_out(model::EnsureNetwork{host_.network}).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.hypervisor.networks().size(), 1U);
  EXPECT_EQ(remembered(node_.journal()).networks, std::vector{host_.network});
  host_.hypervisor.set_unavailable(Error{ErrorCode::unavailable, "libvirt is away", {}});
  expect_failed(node_.carry_out(model::RemoveNetwork{host_.network}), ErrorCode::unavailable, "libvirt is away");
  EXPECT_TRUE(remembered(node_.journal()).networks.empty());
  EXPECT_EQ(remembered(node_.journal()).gone_networks, std::vector{host_.network});  // the housekeeper tries again
  host_.hypervisor.set_unavailable({});
  host_.hypervisor.fail_next("remove_network", {ErrorCode::unavailable, "libvirt was killed", {}});
  EXPECT_EQ(node_.carry_out(model::RemoveNetwork{host_.network}).state, AssignmentState::succeeded);
  EXPECT_TRUE(remembered(node_.journal()).gone_networks.empty());
  EXPECT_TRUE(host_.hypervisor.networks().empty());
  EXPECT_TRUE(remembered(node_.journal()).networks.empty());
}

class ImportPaths : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root() / "allowed/sub");
    fs::create_directories(root() / "allowed-not");
    fs::create_directories(root() / "secret");
    for (const char* file : {"allowed/a.qcow2", "allowed/sub/b.raw", "allowed-not/c.raw", "secret/d.raw"}) {
      ASSERT_TRUE(write_file_atomic(root() / file, "x"));
    }
    fs::create_symlink(root() / "secret/d.raw", root() / "allowed/escape.raw");
    fs::create_symlink(root() / "secret", root() / "allowed/escape");
    fs::create_symlink("a.qcow2", root() / "allowed/inside.qcow2");
  }
  const fs::path& root() const { return directory_.path(); }
  Result<fs::path> check(const fs::path& path) { return check_import_path({root() / "allowed"}, path.native()); }

  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
};

TEST_F(ImportPaths, OnlyRegularFilesBelowTheDirectories) {
  EXPECT_EQ(*check(root() / "allowed/a.qcow2"), fs::canonical(root() / "allowed/a.qcow2"));
  EXPECT_TRUE(check(root() / "allowed/sub/b.raw"));
  EXPECT_EQ(*check(root() / "allowed/inside.qcow2"), fs::canonical(root() / "allowed/a.qcow2"));
  for (const fs::path& path : {root() / "secret/d.raw", root() / "allowed-not/c.raw", root() / "allowed/escape.raw",
                               root() / "allowed/escape/d.raw", root() / "allowed/../secret/d.raw", root() / "allowed",
                               root() / "secret/none", fs::path("/etc/shadow"), fs::path("/dev/zero")}) {
    const auto result = check(path);
    ASSERT_FALSE(result) << path;
    EXPECT_EQ(result.error().code, ErrorCode::permission_denied) << path;
  }
  EXPECT_EQ(check(root() / "allowed/none.raw").error().code, ErrorCode::not_found);
  EXPECT_EQ(check(root() / "allowed/sub").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(check("relative.raw").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(check_import_path({}, (root() / "allowed/a.qcow2").native()).error().code, ErrorCode::permission_denied);
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
