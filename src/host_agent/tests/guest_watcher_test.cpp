#include "host_agent/guest_watcher.h"

#include <gtest/gtest.h>

#include "host_agent/housekeeper.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

using model::VmPhase;

class WatcherTest : public ::testing::Test {
 protected:
  std::unique_ptr<GuestWatcher> watcher(WatchTimings timings) {
    return std::make_unique<GuestWatcher>(host_.hypervisor, node_.events(), node_.journal(), host_.system_clock,
                                          GuestWatcher::Sinks{.changed =
                                                                  [this](const model::ObservedVm& seen) {
                                                                    const std::lock_guard lock(mutex_);
                                                                    seen_.push_back(seen);
                                                                  },
                                                              .gone =
                                                                  [this](const model::VmId& vm) {
                                                                    const std::lock_guard lock(mutex_);
                                                                    gone_.push_back(vm);
                                                                  },
                                                              .available =
                                                                  [this](const auto&) {
                                                                    const std::lock_guard lock(mutex_);
                                                                    ++available_;
                                                                  }},
                                          timings);
  }
  template <typename Check>
  bool sees(Check check) {
    return eventually([&] {
      const std::lock_guard lock(mutex_);
      return std::any_of(seen_.begin(), seen_.end(), check);
    });
  }

  Host host_;
  Node node_{host_};
  std::mutex mutex_;
  std::vector<model::ObservedVm> seen_;
  std::vector<model::VmId> gone_;
  int available_ = 0;
};

TEST_F(WatcherTest, AGuestThatIsJustComingInIsNotThisNodesYet) {
  const auto id = host_.id<model::VmId>();
  ASSERT_TRUE(host_.hypervisor.configure({.id = id, .lease = 7}));
  host_.hypervisor.set_migrating(id, true);
  const auto watcher = this->watcher({});
  watcher->look(id);
  EXPECT_TRUE(watcher->all().empty());
  host_.hypervisor.set_migrating(id, false);
  watcher->look(id);
  EXPECT_EQ(watcher->all().size(), 1U);
}

TEST_F(WatcherTest, EventsAndRemovalAreTold) {
  const auto watcher = this->watcher({});
  watcher->start();
  ASSERT_TRUE(watcher->wait_for_first_look(std::chrono::seconds(20)));
  const auto work = host_.new_vm();
  ASSERT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  watcher->look(work.vm.id);
  ASSERT_TRUE(sees([&](const auto& seen) {
    return seen.vm == work.vm.id && seen.status.phase == VmPhase::running && seen.generation == 1 && seen.lease == 7 &&
           seen.status.observed_generation == 1;
  }));
  host_.hypervisor.set_state(work.vm.id, GuestState::stopped);
  EXPECT_TRUE(sees([&](const auto& seen) { return seen.status.phase == VmPhase::stopped; }));
  host_.hypervisor.set_state(work.vm.id, GuestState::crashed);
  EXPECT_TRUE(
      sees([&](const auto& seen) { return seen.status.phase == VmPhase::failed && !seen.status.message.empty(); }));
  ASSERT_TRUE(host_.hypervisor.remove(work.vm.id));
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex_);
    return gone_ == std::vector{work.vm.id};
  }));
  EXPECT_TRUE(watcher->all().empty());
}

TEST_F(WatcherTest, AddressesAreAskedForUntilTheyAreKnown) {
  const auto watcher = this->watcher({.address_poll_booting = std::chrono::milliseconds(2)});
  watcher->start();
  const auto work = host_.new_vm();
  ASSERT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  ASSERT_TRUE(eventually([&] { return host_.hypervisor.count_calls("addresses") >= 3; }));  // it boots
  host_.hypervisor.set_addresses(work.vm.id, {"192.168.120.5", "fe80::1"}, hypervisor::GuestAgent::answers);
  ASSERT_TRUE(sees([](const auto& seen) {
    return seen.status.ip_addresses == std::vector<std::string>{"192.168.120.5", "fe80::1"} && seen.status.guest_agent;
  }));
  host_.hypervisor.set_state(work.vm.id, GuestState::stopped);
  EXPECT_TRUE(
      sees([](const auto& seen) { return seen.status.phase == VmPhase::stopped && seen.status.ip_addresses.empty(); }));
}

// Only a guest agent that answered and has its channel open is silent; one that leaves is away.
TEST_F(WatcherTest, AGuestAgentThatStopsAnsweringIsTold) {
  const auto watcher = this->watcher(
      {.address_poll_booting = std::chrono::milliseconds(2), .address_poll = std::chrono::milliseconds(2)});
  watcher->start();
  ASSERT_TRUE(watcher->wait_for_first_look(std::chrono::seconds(20)));  // a guest that runs by then isn't new to it
  const auto work = host_.new_vm();
  ASSERT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  const auto agent = [&](hypervisor::GuestAgent is) { host_.hypervisor.set_addresses(work.vm.id, {"10.0.0.5"}, is); };
  const auto asked_again = [&] {
    const auto calls = host_.hypervisor.count_calls("addresses");
    return eventually([&] { return host_.hypervisor.count_calls("addresses") >= calls + 3; });
  };
  agent(hypervisor::GuestAgent::silent);
  ASSERT_TRUE(asked_again());
  EXPECT_EQ(watcher->all()[0].status.agent_silent_since, Timestamp{}) << "it boots";
  agent(hypervisor::GuestAgent::answers);
  ASSERT_TRUE(sees([](const auto& seen) { return seen.status.guest_agent; }));
  agent(hypervisor::GuestAgent::silent);
  ASSERT_TRUE(
      sees([](const auto& seen) { return !seen.status.guest_agent && seen.status.agent_silent_since != Timestamp{}; }));
  agent(hypervisor::GuestAgent::away);
  ASSERT_TRUE(eventually([&] { return watcher->all()[0].status.agent_silent_since == Timestamp{}; }));
  agent(hypervisor::GuestAgent::silent);
  ASSERT_TRUE(asked_again());
  EXPECT_EQ(watcher->all()[0].status.agent_silent_since, Timestamp{}) << "it was restarted and hasn't answered since";
}

TEST_F(WatcherTest, AnAbsentHypervisorTakesNoGuestAway) {
  const auto work = host_.new_vm();
  ASSERT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
  host_.hypervisor.set_unavailable(Error{ErrorCode::unavailable, "libvirtd does not answer", {}});
  const auto watcher = this->watcher({.poll_while_away = std::chrono::milliseconds(5)});
  watcher->start();
  ASSERT_TRUE(watcher->wait_for_first_look(std::chrono::seconds(20)));
  ASSERT_EQ(watcher->all().size(), 1U);  // known from the journal
  EXPECT_EQ(watcher->all()[0].status.phase, VmPhase::unknown);
  EXPECT_EQ(watcher->all()[0].generation, 1U);
  EXPECT_TRUE(gone_.empty());
  host_.hypervisor.set_unavailable(std::nullopt);
  EXPECT_TRUE(sees([](const auto& seen) { return seen.status.phase == VmPhase::running; }));
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex_);
    return available_ == 1;
  }));
}

TEST_F(WatcherTest, AGuestThatIsBeingMadeIsCreating) {
  const auto work = host_.new_vm();
  ASSERT_TRUE(node_.journal().begin_creation(work.vm.id, {.operation = host_.id<model::OperationId>()}));
  ASSERT_TRUE(host_.hypervisor.configure({.id = work.vm.id, .generation = 1}));
  const auto watcher = this->watcher({});
  watcher->look(work.vm.id);
  ASSERT_EQ(watcher->all().size(), 1U);
  EXPECT_EQ(watcher->all()[0].status.phase, VmPhase::creating);
  EXPECT_EQ(watcher->all()[0].generation, 0U);
}

TEST(Housekeeping, OnlyNotableChangesOfPoolsAreTold) {
  const model::PoolId id("p");
  const model::PoolOnNode now{.ready = true, .total = 100_GiB, .available = 50_GiB};
  auto later = now;
  later.available = Bytes(50_GiB) - 500_MiB;
  EXPECT_FALSE(differs_notably({{id, now}}, {{id, later}}));
  later.available = 40_GiB;
  EXPECT_TRUE(differs_notably({{id, now}}, {{id, later}}));
  later = now;
  later.message = "the disk is read-only";
  EXPECT_TRUE(differs_notably({{id, now}}, {{id, later}}));
  EXPECT_TRUE(differs_notably({{id, now}}, {}));
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
