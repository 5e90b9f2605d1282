#include "reconcile/hung_guests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/testing/manual_clock.h"
#include "reconcile/operations/records.h"
#include "reconcile/problems.h"
#include "state/memory_store.h"

namespace bridgehead::reconcile {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using What = HungGuest::What;

class HungGuests : public ::testing::Test {
 protected:
  HungGuests() {
    model::Node node;
    node.id = make_id<model::NodeId>(random_);
    node.name = "n1";
    pool_.id = make_id<model::PoolId>(random_);
    pool_.name = "shared";
    pool_.nodes[node.id] = {.ready = true};
    model::Image disk;
    disk.id = make_id<model::ImageId>(random_);
    disk.name = "web-disk0";
    disk.pool = pool_.id;
    vm_ = make_id<model::VmId>(random_);
    model::Vm vm;
    vm.id = vm_;
    vm.name = "web";
    vm.node = node.id;
    vm.lease = 3;
    vm.spec.disks = {{.name = "disk0", .image = disk.id}};
    vm.spec.restart_hung = minutes(5);
    vm.status.phase = model::VmPhase::running;
    vm.status.since = clock_.now() - std::chrono::hours(5);
    vm.status.guest_agent = true;
    auto edit = inventory_->edit();
    edit.create(node).create(pool_).create(disk).create(vm);
    commit(std::move(edit));
    inventory_->note_node_state(node.id, model::NodeState::ready, "");
  }
  void commit(state::Edit edit) { require(inventory_->commit(std::move(edit)).has_value(), "no record"); }
  model::Vm vm() const { return inventory_->find<model::Vm>(vm_)->value; }
  void status(const std::function<void(model::VmStatus&)>& change) {
    auto status = vm().status;
    change(status);
    auto edit = inventory_->edit();
    edit.set_status(vm_, status);
    commit(std::move(edit));
  }
  void fall_silent() {
    status([&](auto& status) {
      status.guest_agent = false;
      status.agent_silent_since = clock_.now();
    });
  }
  template <typename T>
  void change(const decltype(T::id)& id, const std::function<void(T&)>& how) {
    const auto record = inventory_->find<T>(id);
    auto value = record->value;
    how(value);
    auto edit = inventory_->edit();
    edit.update(record, value);
    commit(std::move(edit));
  }
  What what() const { return judge_hung(*inventory_, vm(), clock_.now()).what; }
  // Begins the reset, and says that it has ended 10 s later.
  bool reset() {
    const Moment moment{.inventory = *inventory_, .random = random_, .now = clock_.now()};
    const auto changes = reset_hung(moment, inventory_->find<model::Vm>(vm_));
    if (changes.empty()) return false;
    auto edit = inventory_->edit();
    changes.apply(edit);
    commit(std::move(edit));
    const auto open = inventory_->open_operations();
    require(open.size() == 1, "one operation");
    EXPECT_EQ(what(), What::fine) << "it is being reset";
    clock_.advance(seconds(10));
    end(open.front()->value.id);
    return true;
  }
  void end(const model::OperationId& id) {
    change<model::Operation>(id, [&](auto& operation) {
      operation.state = model::OperationState::succeeded;
      operation.finished = clock_.now();
    });
  }
  bool is_problem() const {
    const auto problems = find_problems({.inventory = *inventory_, .now = clock_.now()});
    return std::any_of(problems.begin(), problems.end(), [](const auto& one) { return one.condition == "guest-hung"; });
  }

  mutable SeededRandom random_{5};
  bridgehead::testing::ManualClock clock_;
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  model::Pool pool_;
  model::VmId vm_;
};

TEST_F(HungGuests, OneThatStaysSilentIsReset) {
  clock_.advance(minutes(30));
  EXPECT_EQ(what(), What::fine) << "it answers";
  fall_silent();
  clock_.advance(minutes(4));
  EXPECT_EQ(what(), What::fine) << "not yet for long";
  clock_.advance(minutes(1));
  const auto judged = judge_hung(*inventory_, vm(), clock_.now());
  EXPECT_EQ(judged.what, What::reset);
  EXPECT_EQ(judged.why, "its guest agent has not answered for 5 min");
  ASSERT_TRUE(reset());
  const auto operation = inventory_->operations_of(vm_.str()).front()->value;
  EXPECT_EQ(operation.kind, "vm.reboot");
  EXPECT_TRUE(operations::parameter(operation, "force", false));
  EXPECT_EQ(what(), What::fine) << "it boots";
}

TEST_F(HungGuests, WithoutThePolicyNothingIsDone) {
  change<model::Vm>(vm_, [](auto& vm) { vm.spec.restart_hung = seconds(0); });
  fall_silent();
  clock_.advance(std::chrono::hours(3));
  EXPECT_EQ(what(), What::fine);
  EXPECT_FALSE(reset());
}

TEST_F(HungGuests, OneThatCannotAnswerIsNotHung) {
  fall_silent();
  clock_.advance(minutes(10));
  ASSERT_EQ(what(), What::reset);
  status([](auto& status) { status.phase = model::VmPhase::paused; });
  EXPECT_EQ(what(), What::fine) << "paused";
  status([](auto& status) { status.phase = model::VmPhase::unknown; });
  EXPECT_EQ(what(), What::fine) << "its node isn't heard";
  status([](auto& status) { status.phase = model::VmPhase::running; });
  pool_.nodes.begin()->second.ready = false;
  change<model::Pool>(pool_.id, [&](auto& pool) { pool.nodes = pool_.nodes; });
  EXPECT_EQ(what(), What::fine) << "its disks don't answer";
  pool_.nodes.begin()->second.ready = true;
  change<model::Pool>(pool_.id, [&](auto& pool) { pool.nodes = pool_.nodes; });
  EXPECT_EQ(what(), What::reset);
  status([&](auto& status) { status.since = clock_.now() - minutes(2); });
  EXPECT_EQ(what(), What::fine) << "it has just begun to run";
}

// A guest that is moved stands still for a while; it has its time from when that has ended.
TEST_F(HungGuests, AMoveIsNoHang) {
  fall_silent();
  auto edit = inventory_->edit();
  const auto move = operations::internal_operation(random_, clock_.now(), model::operation_kind::vm_migrate, "vm",
                                                   vm_.str(), "web", 1);
  edit.create(move);
  commit(std::move(edit));
  clock_.advance(minutes(20));
  EXPECT_EQ(what(), What::fine);
  end(move.id);
  clock_.advance(minutes(4));
  EXPECT_EQ(what(), What::fine);
  clock_.advance(minutes(1));
  EXPECT_EQ(what(), What::reset);
}

TEST_F(HungGuests, AfterThreeResetsWithinTheHourAPersonIsTold) {
  fall_silent();
  for (int i = 0; i < 3; ++i) {
    clock_.advance(minutes(5));
    ASSERT_TRUE(reset()) << i;
  }
  EXPECT_FALSE(is_problem()) << "it may still come";
  clock_.advance(minutes(5));
  EXPECT_EQ(what(), What::given_up);
  EXPECT_FALSE(reset());
  EXPECT_TRUE(is_problem());
  EXPECT_THAT(judge_hung(*inventory_, vm(), clock_.now()).why, HasSubstr("reset 3 times within the hour"));
  status([](auto& status) { status.agent_silent_since = {}; });
  EXPECT_FALSE(is_problem()) << "it answers again";
}

}  // namespace
}  // namespace bridgehead::reconcile
