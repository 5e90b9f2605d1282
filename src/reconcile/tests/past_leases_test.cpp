// What the manager knows of guests' earlier leases, and what it does when nodes know more: its records are a backup's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/operations/records.h"
#include "reconcile/problems.h"
#include "reconcile/tests/moving_guests.h"

namespace bridgehead::reconcile {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeAgent;
using ::testing::IsEmpty;
using ::testing::Not;

class PastLeasesTest : public testing::MovingGuests {
 protected:
  PastLeasesTest() : MovingGuests({.name = "shared", .driver = model::PoolDriver::posix, .path = "/mnt/shared"}) {}

  std::uint64_t move_to_target() {
    const auto operation = migrate();
    EXPECT_TRUE(sim.settle());
    EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
    EXPECT_EQ(vm().node, target->id);
    return vm().lease;
  }
  // The guest's record becomes that of a backup.
  void restore(model::Vm old) {
    auto edit = sim.inventory().edit();
    edit.update(sim.inventory().find_by_name<model::Vm>("web"), old);
    ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
    for (auto& agent : sim.agents) sim.disconnect(*agent);
    sim.start_manager();
  }
  void report(FakeAgent& agent) {
    sim.disconnect(agent);
    sim.connect(agent);
    hear(agent);
  }
  // The record's node says that it hasn't got the guest, which is then to be made there again.
  void try_on_source() {
    report(*source);
    exchange(*source, 8);
  }
  std::vector<std::string> conditions() {
    std::vector<std::string> found;
    for (const auto& one : find_problems({.inventory = sim.inventory(), .now = sim.clock.now()})) {
      found.emplace_back(one.condition);
    }
    return found;
  }
  std::optional<model::LeaseStamp> in_the_way() { return operations::stamp_in_the_way(sim.inventory(), vm().id); }
  std::uint64_t stamped() { return source->stamps->at(vm().id).token; }
};

TEST_F(PastLeasesTest, OnesThatWereSeenAreOverAndOthersAreNamed) {
  EXPECT_EQ(vm().past_leases, model::PastLeases{});
  const auto refused = migrate();
  exchange(*target, 1, true);
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(now(refused).state, model::OperationState::failed);
  const auto token = now(refused).parameters.at("token").get<std::uint64_t>();
  EXPECT_EQ(vm().past_leases->over, lease);
  EXPECT_THAT(vm().past_leases->ended, ElementsAre(model::LeaseHolder{target->id, token}));
  const auto second = vm().lease;
  move_to_target();
  EXPECT_EQ(vm().past_leases->over, second);
  EXPECT_THAT(vm().past_leases->ended, IsEmpty());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(PastLeasesTest, AGuestIsTakenOverWhereItRuns) {
  const auto old = vm();
  const auto token = move_to_target();
  restore(old);
  report(*target);
  EXPECT_EQ(vm().node, source->id) << "the node of its record may have it, too, and say so soon";
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(vm().node, target->id);
  EXPECT_EQ(vm().lease, token);
  EXPECT_EQ(vm().status.phase, model::VmPhase::running);
  EXPECT_TRUE(target->guests.contains(vm().id));
  std::swap(source, target);
  EXPECT_GT(move_to_target(), token);
  EXPECT_EQ(source->unknown_stamps + target->unknown_stamps, "");
}

TEST_F(PastLeasesTest, ItIsntStartedElsewhereMeanwhile) {
  const auto old = vm();
  const auto token = move_to_target();
  restore(old);
  try_on_source();
  EXPECT_FALSE(source->guests.contains(vm().id));
  EXPECT_EQ(stamped(), token);
  ASSERT_TRUE(in_the_way());
  EXPECT_EQ(in_the_way()->holder(), (model::LeaseHolder{target->id, token}));
  EXPECT_THAT(conditions(), Contains("guest-stamped"));
  report(*target);
  EXPECT_EQ(vm().node, target->id);
  EXPECT_FALSE(in_the_way());
  EXPECT_THAT(conditions(), Not(Contains("guest-stamped")));
}

TEST_F(PastLeasesTest, OneThatStandsStillElsewhereIsntTakenOver) {
  const auto old = vm();
  move_to_target();
  ASSERT_TRUE(power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::pause}));
  EXPECT_TRUE(sim.settle());
  restore(old);
  report(*target);
  EXPECT_EQ(vm().node, source->id) << "it may have been about to come in";
  EXPECT_TRUE(target->guests.contains(vm().id)) << "and it is left alone";
}

TEST_F(PastLeasesTest, OneThatWasSeenWhileAnOperationWasOpenIsTakenOverAfterIt) {
  const auto old = vm();
  move_to_target();
  restore(old);
  report(*source);  // an operation is to make it there again
  report(*target);
  EXPECT_EQ(vm().node, source->id);
  exchange(*source, 8);
  wait_long();
  EXPECT_EQ(vm().node, target->id);
  EXPECT_FALSE(source->guests.contains(vm().id));
}

TEST_F(PastLeasesTest, APersonSaysThatItRunsNowhere) {
  const auto before = confirm_stopped(sim.commander(), sim.caller(), "web");
  ASSERT_FALSE(before);
  EXPECT_EQ(before.error().code, ErrorCode::failed_precondition);
  const auto old = vm();
  const auto token = move_to_target();
  sim.disconnect(*target);
  target->guests.clear();
  restore(old);
  try_on_source();
  ASSERT_TRUE(in_the_way());

  const auto confirmed = confirm_stopped(sim.commander(), sim.caller(), "web");
  ASSERT_TRUE(confirmed) << confirmed.error().describe();
  EXPECT_GT(vm().lease, token);
  EXPECT_FALSE(in_the_way());
  EXPECT_FALSE(confirm_stopped(sim.commander(), sim.caller(), "web"));
  ASSERT_TRUE(power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::start}));
  exchange(*source, 8);
  EXPECT_TRUE(source->guests.contains(vm().id));
  EXPECT_EQ(stamped(), vm().lease);
}

// A manager with a backup of when the guest was to stop lets the lease of its silent node end by time.
class KeptGuestTest : public PastLeasesTest {
 protected:
  KeptGuestTest() {
    source->stamps->at(vm().id).terms = model::LeaseTerms::keep;
    sim.disconnect(*source);
    auto edit = sim.inventory().edit();
    const auto record = sim.inventory().find_by_name<model::Vm>("web");
    auto lapsed = record->value;
    model::end_lease(lapsed, model::LeaseEnd::time);
    lapsed.node = target->id;
    lapsed.lease = edit.take("lease");
    edit.update(record, lapsed);
    edit.set_status(lapsed.id, operations::with_phase(lapsed.status, model::VmPhase::starting, "", sim.clock.now()));
    require(sim.inventory().commit(std::move(edit)).has_value(), "no change");
    report(*target);
    exchange(*target, 8);
  }
};

TEST_F(KeptGuestTest, ItIsntStartedElsewhereAndAPersonIsAsked) {
  EXPECT_EQ(vm().past_leases, (model::PastLeases{.over = lease, .ended = {}, .by_time = true}));
  EXPECT_FALSE(target->guests.contains(vm().id));
  EXPECT_EQ(stamped(), lease);
  ASSERT_TRUE(in_the_way());
  EXPECT_EQ(in_the_way()->holder(), (model::LeaseHolder{source->id, lease}));
  EXPECT_THAT(conditions(), Contains("guest-stamped"));

  source->guests.clear();
  const auto confirmed = confirm_stopped(sim.commander(), sim.caller(), "web");
  ASSERT_TRUE(confirmed) << confirmed.error().describe();
  EXPECT_FALSE(vm().past_leases->by_time);
  EXPECT_FALSE(in_the_way());
  ASSERT_TRUE(power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::start}));
  exchange(*target, 8);
  EXPECT_TRUE(target->guests.contains(vm().id));
  EXPECT_EQ(stamped(), vm().lease);
}

TEST_F(KeptGuestTest, ItIsTakenOverWhenItsNodeIsHeard) {
  report(*source);
  EXPECT_TRUE(sim.settle());
  exchange(*source, 8);
  EXPECT_EQ(vm().node, source->id);
  EXPECT_EQ(stamped(), vm().lease) << "under a new lease";
  EXPECT_GT(vm().lease, lease);
  EXPECT_EQ(vm().status.phase, model::VmPhase::running);
  EXPECT_TRUE(source->guests.contains(vm().id));
  EXPECT_FALSE(target->guests.contains(vm().id));
  EXPECT_FALSE(in_the_way());
}

TEST_F(PastLeasesTest, ItIsTakenOverWhenTheNodeOfItsRecordIsGivenUp) {
  const auto old = vm();
  const auto token = move_to_target();
  restore(old);
  report(*target);
  sim.advance(std::chrono::minutes(1));
  for (int i = 0; i < 8 && vm().node != target->id; ++i) {
    sim.hear_agents();
    sim.advance(std::chrono::seconds(31));
    sim.pass();
  }
  EXPECT_EQ(vm().node, target->id);
  EXPECT_EQ(vm().lease, token);
}

// The numbers of all guests would be used up.
TEST_F(PastLeasesTest, ANodeThatClaimsALeaseBeyondAllNumbersIsntBelieved) {
  const auto before = vm();
  source->guests.at(before.id).lease = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(vm().lease, before.lease);
  source->guests.at(before.id).lease = before.lease;
  (*source->stamps)[before.id] = {
      .vm = before.id, .node = target->id, .token = before.lease + operations::kMostLeasesLost + 1};
  source->guests.erase(before.id);
  try_on_source();
  ASSERT_TRUE(in_the_way());
  const auto refused = confirm_stopped(sim.commander(), sim.caller(), "web");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().hint.find(before.id.str() + ".json"), std::string::npos);
  EXPECT_EQ(vm().lease, before.lease);
}

TEST_F(PastLeasesTest, ALeaseOfItsOwnNodeThatIsNewerIsTaken) {
  const auto old = vm();
  const auto refused = migrate();
  exchange(*target, 1, true);
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(now(refused).state, model::OperationState::failed);
  const auto newer = vm().lease;
  ASSERT_GT(newer, old.lease);
  restore(old);
  report(*source);
  EXPECT_EQ(vm().lease, newer);
  EXPECT_EQ(vm().node, source->id);
}

}  // namespace
}  // namespace bridgehead::reconcile
