#include "reconcile/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/manual_clock.h"
#include "reconcile/commands/power.h"
#include "reconcile/operations/records.h"
#include "state/memory_store.h"

namespace bridgehead::reconcile {
namespace {

using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ProblemsTest : public ::testing::Test {
 protected:
  ProblemsTest() {
    node_.id = make_id<model::NodeId>(random_);
    node_.name = "n1";
    node_.certificate_serial = "1";
    auto edit = inventory_->edit();
    edit.create(node_);
    edit.create(model::Bmc{
        .id = node_.id, .driver = "lab", .address = {}, .user = {}, .options = {}, .password = {}, .power = {}});
    commit(std::move(edit));
    inventory_->note_node_state(node_.id, model::NodeState::unreachable, "Its agent has no connection.");
  }
  void commit(state::Edit edit) { require(inventory_->commit(std::move(edit)).has_value(), "no record"); }
  void set_power(model::MachinePower state) {
    const auto bmc = inventory_->find<model::Bmc>(node_.id);
    auto value = bmc->value;
    value.power = {.state = state, .time = clock_.now()};
    auto edit = inventory_->edit();
    edit.update(bmc, value);
    commit(std::move(edit));
  }
  std::vector<std::string> conditions() const {
    std::vector<std::string> found;
    for (const auto& one : find_problems({.inventory = *inventory_, .now = clock_.now()})) {
      found.emplace_back(one.condition);
    }
    return found;
  }

  SeededRandom random_{3};
  bridgehead::testing::ManualClock clock_;
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  model::Node node_;
};

TEST_F(ProblemsTest, WhatANodeSaysItselfIsTakenRatherThanAStepOfItsBoot) {
  const auto record = inventory_->find<model::Node>(node_.id);
  auto value = record->value;
  value.netboot = model::Netboot{};
  value.netboot->approval = model::Approval::approved;
  value.netboot->image = "debian-12:1";
  model::Boot boot;
  boot.id = node_.id;
  boot.events = {{.step = model::BootStep::failed, .message = "no root", .time = clock_.now()}};
  auto edit = inventory_->edit();
  edit.update(record, value);
  edit.create(boot);
  commit(std::move(edit));
  EXPECT_THAT(conditions(), ElementsAre("boot-failed"));
  inventory_->note_node_state(node_.id, model::NodeState::not_ready, "libvirtd doesn't answer");
  const auto problems = find_problems({.inventory = *inventory_, .now = clock_.now()});
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].condition, "node-not-ready");
  EXPECT_EQ(problems[0].message, "libvirtd doesn't answer");
}

TEST_F(ProblemsTest, ANodeThatIsGoneIsOne) {
  EXPECT_THAT(conditions(), ElementsAre("node-unreachable"));
  const auto problems = find_problems({.inventory = *inventory_, .now = clock_.now()});
  EXPECT_EQ(problems[0].severity, model::AlertSeverity::critical);
  EXPECT_EQ(problems[0].object, "n1");
}

TEST_F(ProblemsTest, OneThatIsBeingSwitchedOrHasJustBeenSwitchedOnIsNone) {
  auto operation = operations::internal_operation(random_, clock_.now(), model::operation_kind::node_power, "node",
                                                  node_.id.str(), "n1", 0);
  operation.parameters["action"] = "cycle";
  auto edit = inventory_->edit();
  edit.create(operation);
  commit(std::move(edit));
  EXPECT_THAT(conditions(), IsEmpty());
  const auto open = inventory_->find<model::Operation>(operation.id);
  operation.state = model::OperationState::succeeded;
  edit = inventory_->edit();
  edit.update(open, operation);
  commit(std::move(edit));
  EXPECT_THAT(conditions(), ElementsAre("node-unreachable")) << "nobody has proven that it is on";
  set_power(model::MachinePower::on);
  EXPECT_THAT(conditions(), IsEmpty()) << "it boots";
  clock_.advance(minutes(16));
  EXPECT_THAT(conditions(), ElementsAre("node-unreachable")) << "it takes too long";
}

TEST_F(ProblemsTest, OneThatIsOffByWishIsNone) {
  set_power(model::MachinePower::off);
  clock_.advance(minutes(600));
  EXPECT_THAT(conditions(), IsEmpty());
}

TEST_F(ProblemsTest, AReceiverThatFailsForLongIsOne) {
  auto edit = inventory_->edit();
  edit.create(model::Webhook{.id = model::WebhookId(model::kWebhookId),
                             .url = "https://h",
                             .secret = {},
                             .created_by = {},
                             .failing_since = clock_.now(),
                             .error = "nobody there"});
  commit(std::move(edit));
  EXPECT_THAT(conditions(), ElementsAre("node-unreachable"));
  clock_.advance(minutes(6));
  EXPECT_THAT(conditions(), ElementsAre("node-unreachable", "webhook-failing"));
}

}  // namespace
}  // namespace bridgehead::reconcile
