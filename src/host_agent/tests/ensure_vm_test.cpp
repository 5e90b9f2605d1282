#include "host_agent/assignments/ensure_vm.h"

#include <gtest/gtest.h>

#include "base/testing/manual_clock.h"
#include "host_agent/assignments/undo_creation.h"
#include "host_agent/autostart.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

using model::PowerState;

class EnsureVmTest : public ::testing::Test {
 protected:
  void expect_failed(const AssignmentReport& end, ErrorCode code, std::string_view part) {
    ASSERT_EQ(end.state, AssignmentState::failed);
    EXPECT_EQ(end.error->code, code);
    EXPECT_NE(end.error->message.find(part), std::string::npos) << end.error->message;
  }

  Host host_;
};

TEST_F(EnsureVmTest, ACreateMakesEverythingAndReportsTheDisks) {
  Node node(host_);
  const auto work = host_.new_vm();
  const auto end = node.carry_out(work);
  ASSERT_EQ(end.state, AssignmentState::succeeded) << end.error->describe();
  const auto config = host_.hypervisor.config(work.vm.id);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->generation, 1U);
  EXPECT_EQ(config->lease, 7U);
  EXPECT_EQ(config->max_cpus, 2U);
  EXPECT_EQ(config->disks.size(), 2U);
  EXPECT_EQ(config->disks[0].format, model::ImageFormat::qcow2);
  EXPECT_EQ(config->disks[0].backing, "/pool/golden/" + host_.golden.id.str() + ".raw");
  EXPECT_TRUE(config->disks[1].backing.empty());
  EXPECT_EQ(config->disks[1].size, 4_GiB);
  EXPECT_EQ(config->nics.at(0).network, host_.network.id.str());
  EXPECT_TRUE(std::filesystem::exists(config->seed));
  EXPECT_TRUE(config->nvram.empty());
  ASSERT_EQ(end.images.size(), 2U);
  EXPECT_EQ(end.images[0].state, model::ImageState::ready);
  EXPECT_EQ(end.images[0].virtual_size, 4_GiB);
  EXPECT_EQ(host_.hypervisor.networks().size(), 1U);
  const auto applied = node.journal().applied(work.vm.id);
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->generation, 1U);
  EXPECT_EQ(applied->power, PowerState::running);
}

TEST_F(EnsureVmTest, TheSameAgainChangesNothing) {
  Node node(host_);
  const auto work = host_.new_vm();
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.hypervisor.count_calls("start"), 1U);
  const auto calls = host_.pool->calls();
  EXPECT_EQ(std::count_if(calls.begin(), calls.end(), [](const auto& call) { return call.starts_with("create_disk"); }),
            2);
  EXPECT_EQ(std::count_if(calls.begin(), calls.end(), [](const auto& call) { return call.starts_with("stamp_lease"); }),
            1);
}

TEST_F(EnsureVmTest, TooLittleMemoryIsRefusedBeforeAnythingIsMade) {
  Node node(host_);
  auto work = host_.new_vm();
  work.vm.spec.memory = 8_GiB;
  const auto end = node.carry_out(work);
  expect_failed(end, ErrorCode::resource_exhausted, "too little memory: needs 8 GiB, 3 GiB available");
  host_.expect_no_trace(work);
  EXPECT_EQ(host_.hypervisor.count_calls("configure"), 0U);
}

TEST_F(EnsureVmTest, TooFewCpusAreRefused) {
  Node node(host_);
  auto work = host_.new_vm();
  work.vm.spec.cpus = 16;
  expect_failed(node.carry_out(work), ErrorCode::resource_exhausted, "needs 16, the node has 4");
  host_.expect_no_trace(work);
}

TEST(MemoryBudgetTest, StartsAtOnceDontCountOnTheSameMemory) {
  MemoryBudget budget;
  {
    const auto first = budget.reserve(2_GiB, 3_GiB);
    ASSERT_TRUE(first);
    const auto second = budget.reserve(2_GiB, 3_GiB);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().message, "too little memory: needs 2 GiB, 1 GiB available");
  }
  EXPECT_TRUE(budget.reserve(2_GiB, 3_GiB));
}

TEST_F(EnsureVmTest, AHigherLeaseElsewhereIsRespected) {
  Node node(host_);
  const auto work = host_.new_vm();
  const auto elsewhere = host_.id<model::NodeId>();
  ASSERT_TRUE(host_.pool->stamp_lease({.vm = work.vm.id, .node = elsewhere, .token = 9}));
  const auto end = node.carry_out(work);
  expect_failed(end, ErrorCode::failed_precondition, "under token 9");
  EXPECT_EQ(host_.state(work.vm.id), GuestState::absent);
  EXPECT_FALSE(host_.has_disks_of(work));
  EXPECT_EQ((*host_.pool->read_lease(work.vm.id))->token, 9U);
}

// A manager whose records are those of a backup knows nothing of a lease that was given since, and its own tokens may
// have become higher meanwhile.
TEST_F(EnsureVmTest, ALeaseThatIsntKnownToBeOverIsRespectedHoweverOld) {
  Node node(host_);
  auto work = host_.new_vm();
  work.vm.lease = 9;
  work.vm.past_leases = model::PastLeases{.over = 3, .ended = {}};
  const auto elsewhere = host_.id<model::NodeId>();
  ASSERT_TRUE(host_.pool->stamp_lease({.vm = work.vm.id, .node = elsewhere, .token = 5}));
  const auto end = node.carry_out(work);
  expect_failed(end, ErrorCode::failed_precondition, "under token 5");
  EXPECT_EQ(host_.state(work.vm.id), GuestState::absent);

  work.vm.past_leases->ended = {{elsewhere, 5}};
  EXPECT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ((*host_.pool->read_lease(work.vm.id))->holder(), (model::LeaseHolder{host_.node, 9}));
}

TEST_F(EnsureVmTest, TheStampThatForbidsAChangeIsReported) {
  Node node(host_);
  auto work = host_.new_vm();
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  const auto elsewhere = host_.id<model::NodeId>();
  ASSERT_TRUE(host_.pool->stamp_lease({.vm = work.vm.id, .node = elsewhere, .token = work.vm.lease + 1}));
  ++work.vm.generation;
  const auto end = node.carry_out(work);
  expect_failed(end, ErrorCode::failed_precondition, "is leased to node");
  ASSERT_TRUE(end.stamp);
  EXPECT_EQ(end.stamp->holder(), (model::LeaseHolder{elsewhere, work.vm.lease + 1}));
}

TEST_F(EnsureVmTest, WithoutALeaseNothingIsStarted) {
  Node node(host_);
  auto work = host_.new_vm();
  work.vm.lease = 0;
  expect_failed(node.carry_out(work), ErrorCode::failed_precondition, "no lease");
}

TEST_F(EnsureVmTest, WithoutAHypervisorNothingIsChanged) {
  Node node(host_);
  const auto work = host_.new_vm();
  host_.hypervisor.set_unavailable(Error{ErrorCode::unavailable, "libvirtd does not answer", "Start libvirtd."});
  const auto end = node.carry_out(work);
  expect_failed(end, ErrorCode::unavailable, "libvirtd does not answer");
  EXPECT_EQ(end.error->hint, "Start libvirtd.");
  host_.hypervisor.set_unavailable(std::nullopt);
  host_.expect_no_trace(work);
}

// Each part of a create fails once: the reason is told and nothing stays.
TEST_F(EnsureVmTest, AFailedCreateIsUndone) {
  const Error no_space{ErrorCode::resource_exhausted, "no space left on the pool", {}};
  for (const std::string call : {"stamp_lease", "create_disk"}) {
    SCOPED_TRACE(call);
    Node node(host_);
    const auto work = host_.new_vm();
    const auto suffix = call == "create_disk" ? " " + work.vm.spec.disks[1].image.str() : "";
    host_.pool->fail_next(call + suffix, no_space);
    expect_failed(node.carry_out(work), ErrorCode::resource_exhausted, "no space left on the pool");
    host_.expect_no_trace(work);
    EXPECT_FALSE(node.journal().creation(work.vm.id));
  }
  for (const std::string call : {"ensure_network", "configure", "start"}) {
    SCOPED_TRACE(call);
    Node node(host_);
    const auto work = host_.new_vm();
    host_.hypervisor.fail_next(call, {ErrorCode::io_error, call + " is broken", {}});
    expect_failed(node.carry_out(work), ErrorCode::io_error, call + " is broken");
    host_.expect_no_trace(work);
    ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);  // and then it works
  }
}

TEST_F(EnsureVmTest, AnUndoNeverTakesDisksThatWereThereBefore) {
  Node node(host_);
  auto work = host_.new_vm();
  ASSERT_TRUE(host_.pool->create_disk(work.images[2], nullptr, 4_GiB));  // disk1: a detached disk with data
  host_.hypervisor.fail_next("start", {ErrorCode::io_error, "broken", {}});
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::failed);
  EXPECT_FALSE(host_.pool->has(work.images[1].id));
  EXPECT_TRUE(host_.pool->has(work.images[2].id));
}

TEST_F(EnsureVmTest, LibvirtsDeathInTheMiddleIsSurvived) {
  Node node(host_);
  const auto work = host_.new_vm();
  for (const char* call : {"configure", "start"}) {
    host_.hypervisor.fail_next(call, {ErrorCode::unavailable, "libvirtd was killed", {}});
  }
  expect_failed(node.carry_out(work), ErrorCode::unavailable, "libvirtd was killed");  // twice is too often
  EXPECT_EQ(host_.state(work.vm.id), GuestState::absent);
  host_.hypervisor.fail_next("start", {ErrorCode::unavailable, "libvirtd was killed", {}});
  EXPECT_EQ(node.carry_out(host_.new_vm()).state, AssignmentState::succeeded);
}

TEST_F(EnsureVmTest, AnUndoThatLibvirtPreventsIsKeptForLater) {
  Node node(host_);
  const auto work = host_.new_vm();
  host_.hypervisor.fail_next("start", {ErrorCode::unavailable, "libvirtd was killed", {}}, 2);  // it is tried twice
  host_.hypervisor.fail_next("remove", {ErrorCode::unavailable, "libvirtd was killed", {}}, 100000);
  const auto end = node.carry_out(work);
  expect_failed(end, ErrorCode::unavailable, "libvirtd was killed");
  EXPECT_NE(end.error->hint.find("tries that again"), std::string::npos);
  EXPECT_TRUE(node.journal().creation(work.vm.id));  // what the housekeeper takes up again
}

// The undo comes late: the manager has leased the guest to another node meanwhile, which uses the same disks.
TEST_F(EnsureVmTest, ALateUndoKeepsDisksThatAreLeasedAnewAndTakesOwnOnes) {
  for (const bool leased_anew : {true, false}) {
    Node node(host_);
    const auto work = host_.new_vm();
    host_.hypervisor.fail_next("start", {ErrorCode::io_error, "broken", {}});
    host_.pool->fail_next("remove", {ErrorCode::io_error, "the pool is away", {}});
    expect_failed(node.carry_out(work), ErrorCode::io_error, "broken");
    const auto creation = node.journal().creation(work.vm.id);
    ASSERT_TRUE(creation);
    ASSERT_TRUE(host_.has_disks_of(work));
    if (leased_anew) {
      ASSERT_TRUE(
          host_.pool->stamp_lease({.vm = work.vm.id, .node = host_.id<model::NodeId>(), .token = work.vm.lease + 1}));
    }
    ASSERT_TRUE(undo_creation(node.services(), work.vm.id, *creation));
    EXPECT_EQ(host_.has_disks_of(work), leased_anew);
    EXPECT_EQ(host_.pool->read_lease(work.vm.id)->has_value(), leased_anew);
  }
}

// A create that is tried again under a newer lease, and fails again: what it made goes all the same.
TEST_F(EnsureVmTest, AnUndoGoesByTheNewestLeaseOfItsCreate) {
  auto work = host_.new_vm();
  Node node(host_);
  for (int i = 0; i < 2; ++i, ++work.vm.lease) {
    host_.hypervisor.fail_next("start", {ErrorCode::io_error, "broken", {}});
    host_.pool->fail_next("remove", {ErrorCode::io_error, "the pool is away", {}});
    expect_failed(node.carry_out(work), ErrorCode::io_error, "broken");
  }
  ASSERT_TRUE(undo_creation(node.services(), work.vm.id, *node.journal().creation(work.vm.id)));
  host_.expect_no_trace(work);
}

TEST_F(EnsureVmTest, ACancelledCreateIsUndone) {
  Node node(host_);
  const auto work = host_.new_vm();
  std::stop_source stop;
  EnsureVmHandler handler(node.services());
  // The user cancels while the disks are being made.
  const Task task{
      .operation = host_.id<model::OperationId>(), .stop = stop.get_token(), .progress = [&](const Progress& progress) {
        if (progress.phase == "disks") stop.request_stop();
      }};
  const auto outcome = handler.run(work, task);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::cancelled);
  host_.expect_no_trace(work);
}

TEST_F(EnsureVmTest, AnOutdatedGenerationIsRefused) {
  Node node(host_);
  auto work = host_.new_vm();
  work.vm.generation = 3;
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  work.vm.generation = 2;
  expect_failed(node.carry_out(work), ErrorCode::conflict, "outdated");
  EXPECT_EQ(host_.state(work.vm.id), GuestState::running);
}

TEST_F(EnsureVmTest, PauseResumeAndACrashedGuest) {
  Node node(host_);
  auto work = host_.new_vm();
  work.vm.spec.power = PowerState::paused;
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.state(work.vm.id), GuestState::paused);
  work.vm.spec.power = PowerState::running;
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.state(work.vm.id), GuestState::running);
  host_.hypervisor.set_state(work.vm.id, GuestState::crashed);
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.state(work.vm.id), GuestState::running);
}

TEST_F(EnsureVmTest, AnOfflineDiskGrowsInThePool) {
  Node node(host_);
  auto work = host_.new_vm();
  work.vm.spec.power = PowerState::stopped;
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  work.vm.spec.disks[0].size = 10_GiB;
  const auto end = node.carry_out(work);
  ASSERT_EQ(end.state, AssignmentState::succeeded);
  EXPECT_EQ(end.images[0].virtual_size, 10_GiB);
  EXPECT_EQ(host_.pool->inspect(work.images[1])->virtual_size, 10_GiB);
}

TEST_F(EnsureVmTest, MissingRecordsAreNamed) {
  Node node(host_);
  auto work = host_.new_vm();
  work.networks.clear();
  expect_failed(node.carry_out(work), ErrorCode::invalid_argument, "NIC nic0 but not its network");
  work = host_.new_vm();
  work.images.pop_back();
  expect_failed(node.carry_out(work), ErrorCode::invalid_argument, "disk disk1 but not its image");
  work = host_.new_vm();
  work.vm.id = model::VmId("../../etc");
  expect_failed(node.carry_out(work), ErrorCode::invalid_argument, "is not a VM's id");
}

class StopTest : public EnsureVmTest {
 protected:
  void SetUp() override {
    host_.clock = &clock_;
    host_.timings.shutdown_repeat = std::chrono::seconds(5);
    work_ = host_.new_vm();
    Node node(host_);
    ASSERT_EQ(node.carry_out(work_).state, AssignmentState::succeeded);
    work_.vm.generation = 2;
    work_.vm.spec.power = PowerState::stopped;
  }
  std::size_t requests() const { return host_.hypervisor.count_calls("request_shutdown"); }
  // An event makes the waiting handler look at the clock again.
  void pass(std::chrono::milliseconds time) {
    clock_.advance(time);
    host_.hypervisor.set_state(work_.vm.id, GuestState::running);
  }

  bridgehead::testing::ManualClock clock_;
  model::EnsureVm work_;
};

TEST_F(StopTest, AGuestThatObeysIsNotForced) {
  Node node(host_);
  ASSERT_EQ(node.carry_out(work_).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.state(work_.vm.id), GuestState::stopped);
  EXPECT_EQ(requests(), 1U);
  EXPECT_EQ(host_.hypervisor.count_calls("power_off"), 0U);
}

TEST_F(StopTest, AGuestThatIgnoresItIsAskedAgainAndForcedAtTheEndOfItsGrace) {
  host_.hypervisor.set_ignores_acpi(work_.vm.id, true);
  work_.stop_grace_seconds = 12;
  Node node(host_);
  const auto assignment = node.assignment(work_);
  node.executor().assign(assignment);
  for (std::size_t asked = 1; asked <= 3; ++asked) {  // at 0, 5 and 10 s
    ASSERT_TRUE(eventually([&] { return requests() == asked; })) << asked;
    EXPECT_EQ(host_.hypervisor.count_calls("power_off"), 0U);
    if (asked < 3) pass(std::chrono::seconds(5));
  }
  pass(std::chrono::seconds(2));
  EXPECT_EQ(node.end_of(assignment.operation).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.state(work_.vm.id), GuestState::stopped);
  EXPECT_EQ(host_.hypervisor.count_calls("power_off"), 1U);
  EXPECT_EQ(requests(), 3U);
}

TEST_F(StopTest, WithoutGraceItFailsInsteadOfForcing) {
  host_.hypervisor.set_ignores_acpi(work_.vm.id, true);
  host_.timings.default_grace = std::chrono::seconds(60);
  work_.stop_grace_seconds = 0;
  Node node(host_);
  const auto assignment = node.assignment(work_);
  node.executor().assign(assignment);
  ASSERT_TRUE(eventually([&] { return requests() == 1; }));
  pass(std::chrono::seconds(61));
  const auto end = node.end_of(assignment.operation);
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_EQ(end.error->code, ErrorCode::failed_precondition);
  EXPECT_EQ(end.error->message, "the guest did not shut down within 60 s of being asked");
  EXPECT_EQ(host_.state(work_.vm.id), GuestState::running);
}

TEST_F(StopTest, ForceDoesNotAsk) {
  work_.force_stop = true;
  Node node(host_);
  ASSERT_EQ(node.carry_out(work_).state, AssignmentState::succeeded);
  EXPECT_EQ(requests(), 0U);
  EXPECT_EQ(host_.state(work_.vm.id), GuestState::stopped);
}

TEST_F(StopTest, AGuestThatStopsLateEndsTheWait) {
  host_.hypervisor.set_ignores_acpi(work_.vm.id, true);
  Node node(host_);
  const auto assignment = node.assignment(work_);
  node.executor().assign(assignment);
  ASSERT_TRUE(eventually([&] { return requests() == 1; }));
  host_.hypervisor.set_state(work_.vm.id, GuestState::stopped);
  EXPECT_EQ(node.end_of(assignment.operation).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.hypervisor.count_calls("power_off"), 0U);
}

TEST_F(StopTest, TheWaitCanBeCancelled) {
  host_.hypervisor.set_ignores_acpi(work_.vm.id, true);
  Node node(host_);
  const auto assignment = node.assignment(work_);
  node.executor().assign(assignment);
  ASSERT_TRUE(eventually([&] { return requests() == 1; }));
  node.executor().cancel(assignment.operation);
  EXPECT_EQ(node.end_of(assignment.operation).state, AssignmentState::cancelled);
  EXPECT_EQ(host_.state(work_.vm.id), GuestState::running);
}

TEST_F(StopTest, APausedGuestIsResumedToHearIt) {
  ASSERT_TRUE(host_.hypervisor.pause(work_.vm.id));
  Node node(host_);
  ASSERT_EQ(node.carry_out(work_).state, AssignmentState::succeeded);
  EXPECT_EQ(host_.hypervisor.count_calls("power_off"), 0U);
}

TEST_F(EnsureVmTest, AfterARebootGuestsStartAgainUnderTheirLeaseOnly) {
  auto work = host_.new_vm();
  auto manual = host_.new_vm("manual");
  manual.vm.spec.autostart = false;
  auto elsewhere = host_.new_vm("elsewhere");
  elsewhere.vm.spec.ha = model::HaMode::restart;
  Node node(host_);
  ASSERT_EQ(node.carry_out(work).state, AssignmentState::succeeded);
  ASSERT_EQ(node.carry_out(manual).state, AssignmentState::succeeded);
  ASSERT_EQ(node.carry_out(elsewhere).state, AssignmentState::succeeded);
  for (const auto& each : {work, manual, elsewhere}) host_.hypervisor.set_state(each.vm.id, GuestState::stopped);
  EXPECT_EQ(guests_to_autostart(node.journal(), *host_.hypervisor.list()), std::vector{work.vm.id});
  ASSERT_TRUE(autostart_guest(node.services(), work.vm.id));
  EXPECT_EQ(host_.state(work.vm.id), GuestState::running);

  host_.hypervisor.set_state(work.vm.id, GuestState::stopped);
  ASSERT_TRUE(host_.pool->stamp_lease({.vm = work.vm.id, .node = host_.id<model::NodeId>(), .token = 100}));
  const auto refused = autostart_guest(node.services(), work.vm.id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(host_.state(work.vm.id), GuestState::stopped);
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
