// Commands about the power of nodes' machines: what is refused, and that refusing changes nothing.
#include <gtest/gtest.h>

#include "base/ids.h"
#include "base/testing/manual_clock.h"
#include "reconcile/cluster.h"
#include "reconcile/commands/power.h"
#include "state/memory_store.h"

namespace bridgehead::reconcile {
namespace {

using model::MachinePowerAction;

class PowerCommandsTest : public ::testing::Test {
 protected:
  template <typename T>
  void create(const T& value) {
    auto edit = inventory_->edit();
    edit.create(value);
    ASSERT_TRUE(inventory_->commit(std::move(edit)));
  }
  model::Node add_node(const std::string& name) {
    model::Node node;
    node.id = make_id<model::NodeId>(random_);
    node.name = name;
    create(node);
    return node;
  }
  void add_vm(const model::Node& on, model::PowerState power, model::VmPhase phase) {
    model::Vm vm;
    vm.id = make_id<model::VmId>(random_);
    vm.name = fmt::format("vm-{}", vm.id);
    vm.node = on.id;
    vm.spec.power = power;
    vm.status.phase = phase;
    create(vm);
  }
  SetBmc good(const std::string& address = "10.0.0.7") const {
    return {.driver = "ipmi", .address = address, .user = "operator", .password = "sealed"};
  }
  Result<Accepted<model::Node>> ask(const std::string& node, MachinePowerAction action, bool force = false) {
    return switch_node(commander_, caller_, node, {.action = action, .force = force});
  }

  bridgehead::testing::ManualClock clock_;
  SeededRandom random_{5};
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  Commander commander_{*inventory_, random_, clock_};
  const Caller caller_{.actor = "ann"};
};

TEST_F(PowerCommandsTest, OneBmcSwitchesOneMachine) {
  add_node("n1");
  add_node("n2");
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  auto same = good();
  same.options = {{"cipher", "3"}};
  const auto refused = set_bmc(commander_, caller_, "n2", same);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::already_exists);
  ASSERT_TRUE(set_bmc(commander_, caller_, "n2", good("10.0.0.8")));
  // Plugs of one power strip are different machines.
  SetBmc strip{.driver = "fence_apc", .address = "strip", .user = "u", .options = {{"plug", "1"}}, .password = "s"};
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", strip));
  strip.options["plug"] = "2";
  EXPECT_TRUE(set_bmc(commander_, caller_, "n2", strip));
}

TEST_F(PowerCommandsTest, SettingsAreCheckedInForm) {
  add_node("n1");
  auto request = good();
  request.driver = "";
  EXPECT_TRUE(set_bmc(commander_, caller_, "n1", request).error().message.starts_with("driver"));
  request = good();
  request.port = 70000;
  EXPECT_TRUE(set_bmc(commander_, caller_, "n1", request).error().message.starts_with("port"));
  request = good();
  request.options["ca"] = std::string(20'000, 'x');
  EXPECT_TRUE(set_bmc(commander_, caller_, "n1", request).error().message.starts_with("options.ca"));
  EXPECT_TRUE(inventory_->all<model::Bmc>().empty());
}

TEST_F(PowerCommandsTest, WhatIsKnownOfTheMachineStaysWithTheMachine) {
  const auto node = add_node("n1");
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  const auto record = inventory_->find<model::Bmc>(node.id);
  auto known = record->value;
  known.power = {model::MachinePower::off, model::PowerEvidence::bmc, clock_.now()};
  auto edit = inventory_->edit();
  edit.update(record, known);
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  auto request = good();
  request.options["cipher"] = "3";
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", request));
  EXPECT_EQ(inventory_->find<model::Bmc>(node.id)->value.power.state, model::MachinePower::off);
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good("10.0.0.8")));
  EXPECT_EQ(inventory_->find<model::Bmc>(node.id)->value.power, model::PowerProof{});
}

TEST_F(PowerCommandsTest, AKeptPasswordGoesNowhereElse) {
  const auto node = add_node("n1");
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  auto request = good();
  request.password.reset();
  EXPECT_EQ(set_bmc(commander_, caller_, "n1", request)->password, "sealed");
  request.user = "other";
  EXPECT_TRUE(set_bmc(commander_, caller_, "n1", request).error().message.starts_with("password"));
  const SetBmc wol{.driver = "wol", .options = {{"mac", "52:54:00:12:34:56"}}};
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", wol));
  EXPECT_EQ(inventory_->find<model::Bmc>(node.id)->value.password, "") << "it needs none";
}

TEST_F(PowerCommandsTest, ThePlugIsntPulledUnderWhatRuns) {
  const auto node = add_node("n1");
  EXPECT_EQ(ask("n1", MachinePowerAction::on).error().code, ErrorCode::failed_precondition) << "no BMC";
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  add_vm(node, model::PowerState::stopped, model::VmPhase::stopped);
  EXPECT_TRUE(switch_node(commander_, {.actor = "ann", .dry_run = true}, "n1", {.action = MachinePowerAction::off}));
  add_vm(node, model::PowerState::running, model::VmPhase::unknown);
  const auto refused = ask("n1", MachinePowerAction::off);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("1 VM runs"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(inventory_->open_operations().empty());
  EXPECT_TRUE(ask("n1", MachinePowerAction::off, true));
}

TEST_F(PowerCommandsTest, NorUnderWhatIsOnItsWay) {
  const auto node = add_node("n1");
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  model::Operation coming;
  coming.id = make_id<model::OperationId>(random_);
  coming.kind = model::operation_kind::vm_migrate;
  coming.target = "some-guest";
  coming.parameters["to"] = node.id.str();
  create(coming);
  EXPECT_EQ(ask("n1", MachinePowerAction::cycle).error().code, ErrorCode::failed_precondition);
  EXPECT_TRUE(ask("n1", MachinePowerAction::on));
}

TEST_F(PowerCommandsTest, OneChangeAtATimeAndNoGuestComesMeanwhile) {
  const auto node = add_node("n1");
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  EXPECT_TRUE(cluster_snapshot(*inventory_, {}).nodes.front().schedulable);
  ASSERT_TRUE(ask("n1", MachinePowerAction::cycle));
  EXPECT_FALSE(cluster_snapshot(*inventory_, {}).nodes.front().schedulable);
  for (const auto action : {MachinePowerAction::on, MachinePowerAction::off}) {
    EXPECT_EQ(ask("n1", action).error().code, ErrorCode::failed_precondition);
  }
  EXPECT_FALSE(remove_bmc(commander_, caller_, "n1"));
  EXPECT_FALSE(set_bmc(commander_, caller_, "n1", good()));
  EXPECT_FALSE(delete_node(commander_, caller_, "n1"));
  EXPECT_TRUE(inventory_->find<model::Bmc>(node.id));
}

TEST_F(PowerCommandsTest, ItGoesWithItsNode) {
  const auto node = add_node("n1");
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  ASSERT_TRUE(delete_node(commander_, caller_, "n1"));
  EXPECT_FALSE(inventory_->find<model::Bmc>(node.id));
}

TEST_F(PowerCommandsTest, TheSameRequestTwiceIsOneOperation) {
  add_node("n1");
  ASSERT_TRUE(set_bmc(commander_, caller_, "n1", good()));
  const Caller again{.actor = "ann", .idempotency_key = std::string(64, 'a'), .request_digest = "d"};
  const auto first = switch_node(commander_, again, "n1", {.action = MachinePowerAction::on});
  const auto second = switch_node(commander_, again, "n1", {.action = MachinePowerAction::on});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->operation.id, second->operation.id);
}

}  // namespace
}  // namespace bridgehead::reconcile
