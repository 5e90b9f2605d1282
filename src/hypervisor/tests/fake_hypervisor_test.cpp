// The fake must keep to the interface, or tests built on it prove nothing.
#include "hypervisor/testing/fake_hypervisor.h"

#include <gtest/gtest.h>

namespace bridgehead::hypervisor {
namespace {

const model::VmId kGuest("11111111-2222-4333-8444-555555555555");

TEST(FakeHypervisor, IsIdempotentAndAbsentIsAState) {
  testing::FakeHypervisor hypervisor;
  EXPECT_EQ(hypervisor.get(kGuest)->state, GuestState::absent);
  EXPECT_TRUE(hypervisor.remove(kGuest));
  EXPECT_TRUE(hypervisor.power_off(kGuest));
  EXPECT_EQ(hypervisor.start(kGuest).error().code, ErrorCode::not_found);
  ASSERT_TRUE(hypervisor.configure({.id = kGuest, .generation = 2, .lease = 5}));
  EXPECT_TRUE(hypervisor.start(kGuest));
  EXPECT_TRUE(hypervisor.start(kGuest));
  EXPECT_EQ(hypervisor.get(kGuest)->state, GuestState::running);
  EXPECT_EQ(hypervisor.list()->size(), 1u);
  EXPECT_TRUE(hypervisor.remove(kGuest));
  EXPECT_EQ(hypervisor.get(kGuest)->state, GuestState::absent);
}

TEST(FakeHypervisor, InjectedFailuresComeInOrderAndEnd) {
  testing::FakeHypervisor hypervisor;
  ASSERT_TRUE(hypervisor.configure({.id = kGuest}));
  hypervisor.fail_next("start", {ErrorCode::io_error, "no", ""}, 2);
  EXPECT_FALSE(hypervisor.start(kGuest));
  EXPECT_FALSE(hypervisor.start(kGuest));
  EXPECT_EQ(hypervisor.get(kGuest)->state, GuestState::stopped);
  EXPECT_TRUE(hypervisor.start(kGuest));
  EXPECT_EQ(hypervisor.count_calls("start"), 3u);
}

TEST(FakeHypervisor, EventsAndConsoles) {
  testing::FakeHypervisor hypervisor;
  std::vector<GuestEventKind> events;
  hypervisor.on_event([&](const GuestEvent& event) { events.push_back(event.kind); });
  ASSERT_TRUE(hypervisor.configure({.id = kGuest}));
  EXPECT_FALSE(hypervisor.open_console(kGuest, false));
  ASSERT_TRUE(hypervisor.start(kGuest));
  auto console = hypervisor.open_console(kGuest, false);
  ASSERT_TRUE(console);
  ASSERT_TRUE((*console)->write("ls\n"));
  EXPECT_EQ(*(*console)->read(), "ls\n");
  (*console)->close();
  EXPECT_EQ(*(*console)->read(), "");
  ASSERT_TRUE(hypervisor.remove(kGuest));
  EXPECT_EQ(events, (std::vector{GuestEventKind::state_changed, GuestEventKind::removed}));
}

}  // namespace
}  // namespace bridgehead::hypervisor
