// Leases that end by time, on one node: a clock of the test's, a watchdog that is a FIFO, a manager that is the test.
#include "host_agent/lease_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "availability/lease_text.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

using availability::Answer;
using availability::BootTime;
using availability::Renewal;
using availability::Terms;
using std::chrono::seconds;

class LeaseGuardTest : public ::testing::Test {
 protected:
  LeaseGuardTest() {
    require(::mkfifo(fifo_.c_str(), 0600) == 0, "no FIFO");
    watchdog_ = UniqueFd(::open(fifo_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    require(node_.carry_out(guest_).state == AssignmentState::succeeded, "no guest");
    begin();
  }
  void begin() {
    guard_.reset();
    guard_ = std::make_unique<LeaseGuard>(
        LeaseGuard::Parts{.hypervisor = host_.hypervisor,
                          .pools = node_.pools(),
                          .journal = node_.journal(),
                          .send = [this](const std::string& text) { sent_ = *availability::renewal_from(text); },
                          .running =
                              [this] {
                                std::set<model::VmId> running;
                                if (host_.state(vm()) == GuestState::running) running.insert(vm());
                                return std::optional(running);
                              },
                          .look = [](const model::VmId&) {},
                          .start_again = [this](const model::VmId&) { ++started_again_; },
                          .watchdog_changed = [] {}},
        LeaseGuard::Options{.ends_file = host_.directory.path() / "ends.json",
                            .watchdog = fifo_,
                            .boot = "this boot",
                            .start_patience = seconds(0),
                            .time = [this] { return time_; }},
        host_.node, host_.random);
    guard_->take_renewals(true);
  }
  const model::VmId& vm() const { return guest_.vm.id; }
  void pass(int count, bool manager, bool pool) {
    for (int i = 0; i < count; ++i) {
      time_ += seconds(1);
      sent_.reset();
      guard_->look();
      if (pool) guard_->read_pools();
      if (manager && sent_) answer(Terms::stop);
    }
  }
  void answer(Terms terms, bool may_start = true) {
    Answer answer{
        .instance = sent_->instance, .sequence = sent_->sequence, .grants = {}, .recalled = {}, .settled = {}};
    answer.grants.push_back({.vm = vm(), .token = 7, .terms = terms, .source = {}, .may_start = may_start});
    guard_->answered(availability::text_of(answer));
  }
  std::string letters() {
    std::array<char, 256> buffer{};
    const auto got = ::read(watchdog_.get(), buffer.data(), buffer.size());
    return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
  }
  // The next renewal is answered so.
  void hear(Terms terms) {
    do {
      pass(1, false, false);
    } while (!sent_);
    answer(terms);
  }
  // As its stamp says, when that has been written.
  bool says(std::optional<model::LeaseTerms> terms) {
    return eventually([&] {
      guard_->look();
      return (*host_.pool->read_lease(vm()))->terms == terms;
    });
  }
  // Renewals are answered until one says that it is held so.
  bool holds(Terms terms) {
    return eventually([&] {
      pass(1, true, false);
      return sent_ && !sent_->held.empty() && sent_->held[0].terms == terms;
    });
  }
  bool stops() {
    return eventually([&] { return host_.state(vm()) == GuestState::stopped; });
  }

  Host host_;
  Node node_{host_};
  const model::EnsureVm guest_ = host_.new_vm();
  const std::filesystem::path fifo_ = host_.directory.path() / "watchdog";
  UniqueFd watchdog_;
  BootTime time_{std::chrono::hours(1)};
  std::optional<Renewal> sent_;
  int started_again_ = 0;
  std::unique_ptr<LeaseGuard> guard_;
};

TEST_F(LeaseGuardTest, WithoutSuchGuestsTheWatchdogIsNeverOpened) {
  pass(1, false, false);
  ASSERT_TRUE(sent_);
  EXPECT_TRUE(sent_->watchdog);
  pass(30, false, false);
  EXPECT_EQ(letters(), "");
  EXPECT_EQ(host_.state(vm()), GuestState::running);
}

TEST_F(LeaseGuardTest, AGuestIsStoppedInTimeWhenNobodyProlongsItsLease) {
  pass(10, true, false);
  EXPECT_EQ(letters().substr(0, 5), "T10\n.");
  ASSERT_FALSE(guard_->no_watchdog().size());
  pass(5, false, false);
  EXPECT_EQ(host_.state(vm()), GuestState::running) << "eight seconds after the last answered renewal at the earliest";
  pass(6, false, false);
  EXPECT_TRUE(stops());
  pass(1, false, false);
  EXPECT_EQ(letters().back(), 'V') << "nothing is left to guard";
  EXPECT_FALSE(node_.journal().meta(stopped_alone(vm())).empty()) << "nobody wanted it to be off";
  EXPECT_EQ(started_again_, 0);
  pass(4, true, false);
  EXPECT_GT(started_again_, 0) << "nobody took it from this node";
  host_.hypervisor.set_state(vm(), GuestState::running);
  pass(1, true, false);
  EXPECT_TRUE(node_.journal().meta(stopped_alone(vm())).empty());
}

TEST_F(LeaseGuardTest, ThePoolProlongsItUntilSomebodyClaimsIt) {
  pass(10, true, true);
  pass(60, false, true);
  EXPECT_EQ(host_.state(vm()), GuestState::running);
  ASSERT_TRUE(host_.pool->write_claim(host_.node, 3));
  pass(4, false, true);
  EXPECT_EQ(sent_ ? sent_->claims : std::vector<std::uint64_t>{3}, std::vector<std::uint64_t>{3});
  pass(8, false, true);
  EXPECT_TRUE(stops());
}

TEST_F(LeaseGuardTest, TheWatchdogStarvesWhenTheGuestCantBeStopped) {
  pass(10, true, false);
  host_.hypervisor.fail_next("power_off", {ErrorCode::unavailable, "libvirt hangs", {}}, 1000);
  pass(20, false, false);
  (void)letters();
  pass(10, false, false);
  EXPECT_EQ(letters(), "");
}

TEST_F(LeaseGuardTest, ItGoesBackToKeepWhenTheManagerSaysSo) {
  pass(10, true, false);
  (void)letters();
  pass(3, false, false);
  ASSERT_TRUE(sent_ || (pass(1, false, false), sent_) || (pass(1, false, false), sent_));
  answer(Terms::keep);
  EXPECT_TRUE(eventually([&] {
    guard_->look();
    const auto written = letters();
    return !written.empty() && written.back() == 'V';
  }));
  EXPECT_EQ((*host_.pool->read_lease(vm()))->terms, model::LeaseTerms::keep);
  pass(60, false, false);
  EXPECT_EQ(host_.state(vm()), GuestState::running);
}

TEST_F(LeaseGuardTest, TheStampSaysStopBeforeTheManagerHearsIt) {
  EXPECT_EQ((*host_.pool->read_lease(vm()))->terms, model::LeaseTerms::keep) << "as each start stamps it";
  host_.pool->keep_terms(true);
  pass(20, true, false);
  EXPECT_EQ(sent_ ? sent_->held.at(0).terms : Terms::keep, Terms::keep);
  EXPECT_EQ(letters().substr(0, 3), "T10") << "it is stopped in time from the manager's first word on";
  host_.pool->keep_terms(false);
  EXPECT_TRUE(holds(Terms::stop));
  EXPECT_EQ((*host_.pool->read_lease(vm()))->terms, model::LeaseTerms::stop);
}

TEST_F(LeaseGuardTest, ItStopsItsGuestUntilTheStampSaysKeep) {
  ASSERT_TRUE(holds(Terms::stop));
  host_.pool->keep_terms(true);
  hear(Terms::keep);
  pass(4, false, false);
  EXPECT_EQ((*host_.pool->read_lease(vm()))->terms, model::LeaseTerms::stop);
  pass(8, false, false);
  EXPECT_TRUE(stops());
}

TEST_F(LeaseGuardTest, AnotherRunOfTheAgentSeesTheChangeThrough) {
  ASSERT_TRUE(holds(Terms::stop));
  host_.pool->keep_terms(true);
  hear(Terms::keep);
  pass(1, false, false);
  begin();  // as after kill -9: between its intention and what it wrote
  host_.pool->keep_terms(false);
  EXPECT_TRUE(says(model::LeaseTerms::stop)) << "what it acts by, until it hears otherwise";
  hear(Terms::keep);
  EXPECT_TRUE(says(model::LeaseTerms::keep));
  begin();
  pass(60, false, false);
  EXPECT_EQ(host_.state(vm()), GuestState::running);
}

TEST_F(LeaseGuardTest, AnothersStampStays) {
  ASSERT_TRUE(holds(Terms::stop));
  const auto other = host_.id<model::NodeId>();
  ASSERT_TRUE(host_.pool->stamp_lease({.vm = vm(), .node = other, .token = 8}));
  hear(Terms::keep);
  pass(1, false, false);
  EXPECT_TRUE(holds(Terms::keep));
  const auto stamp = **host_.pool->read_lease(vm());
  EXPECT_EQ(stamp.holder(), (model::LeaseHolder{other, 8}));
  EXPECT_EQ(stamp.terms, std::nullopt);
}

TEST_F(LeaseGuardTest, WhatIsStampedInOtherPoolsIsLookedAt) {
  ASSERT_TRUE(holds(Terms::stop));
  // As if a disk had come to a pool where a start's stamp is.
  ASSERT_TRUE(host_.pool->change_terms(
      {.vm = vm(), .node = host_.node, .token = 7, .past = {}, .source = {}, .terms = model::LeaseTerms::keep}));
  begin();
  guard_->look();
  guard_->read_pools();
  EXPECT_TRUE(says(model::LeaseTerms::stop));
}

TEST_F(LeaseGuardTest, AnotherRunOfTheAgentGoesOn) {
  pass(10, true, false);
  begin();
  pass(3, true, false);
  EXPECT_EQ(host_.state(vm()), GuestState::running);
  EXPECT_EQ(sent_ ? sent_->held.at(0).terms : Terms::stop, Terms::stop);
  time_ += seconds(12);
  begin();
  pass(1, false, false);
  EXPECT_TRUE(stops()) << "its lease had ended";
}

TEST_F(LeaseGuardTest, AStartNeedsTheManagersWord) {
  EXPECT_TRUE(guard_->begin_start(host_.id<model::VmId>(), {})) << "not of those";
  pass(10, true, false);
  host_.hypervisor.set_state(vm(), GuestState::stopped);
  pass(4, true, false);
  ASSERT_TRUE(guard_->begin_start(vm(), {}));
  guard_->end_start(vm(), false);
  pass(20, false, false);
  const auto refused = guard_->begin_start(vm(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
}

TEST_F(LeaseGuardTest, AHostWithoutAWatchdogSaysWhy) {
  std::filesystem::remove(fifo_);
  begin();
  pass(1, false, false);
  EXPECT_FALSE(sent_->watchdog);
  EXPECT_NE(guard_->no_watchdog().find("isn't there"), std::string::npos);
  ASSERT_TRUE(write_file_atomic(fifo_, ""));
  const auto plain = HostWatchdog(fifo_).check();
  ASSERT_FALSE(plain);
  EXPECT_NE(plain.error().message.find("is not a watchdog"), std::string::npos);
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
