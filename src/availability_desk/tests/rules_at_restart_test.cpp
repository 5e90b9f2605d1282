// Hard rules count where a dead node's guests start.
#include "availability_desk/tests/desk_fixture.h"

namespace bridgehead::availability_desk::testing {
namespace {

// Beside `web` on the node that dies, others that hold a lease, and rules.
class DeskRulesTest : public DeskTest {
 protected:
  model::VmId add_guest(const std::string& name, std::size_t on, bool ha) {
    model::Vm other = vm_;
    other.id = make_id<model::VmId>(random_);
    other.name = name;
    other.node = nodes_[on].id;
    other.spec.ha = ha ? model::HaMode::restart : model::HaMode::none;
    other.planning.priority = -1;  // after web
    auto edit = inventory_->edit();
    other.lease = edit.take("lease");
    edit.create(other);
    require(inventory_->commit(std::move(edit)).has_value(), "no guest");
    return other.id;
  }
  void add_rule(model::RuleKind kind, std::vector<model::VmId> guests, std::vector<std::size_t> on = {}) {
    model::Rule rule;
    rule.id = make_id<model::RuleId>(random_);
    rule.name = "rule";
    rule.kind = kind;
    rule.vms = std::move(guests);
    for (const auto index : on) rule.nodes.push_back(nodes_[index].id);
    auto edit = inventory_->edit();
    edit.create(rule);
    require(inventory_->commit(std::move(edit)).has_value(), "no rule");
  }
  void break_rules() {
    model::PlanningPolicy policy;
    policy.id = make_id<model::PolicyId>(random_);
    policy.restart_against_rules = true;
    auto edit = inventory_->edit();
    edit.create(policy);
    require(inventory_->commit(std::move(edit)).has_value(), "no policy");
  }
  model::NodeId where(const model::VmId& id) const { return inventory_->find<model::Vm>(id)->value.node; }
  std::string waits_for(const model::VmId& id) const {
    for (const auto& guest : desk_->status().guests) {
      if (guest.vm == id) return guest.waits_for;
    }
    return "";
  }
};

TEST_F(DeskRulesTest, GuestsThatAreKeptApartStartApart) {
  const auto beside = add_guest("beside", 1, true);
  const auto second = add_guest("second", 0, true);
  add_rule(model::RuleKind::apart, {vm_.id, beside, second});
  pass(5);
  die(0);
  pass(60);
  EXPECT_EQ(where(vm_.id), nodes_[2].id) << "the other one is taken";
  EXPECT_EQ(where(second), nodes_[0].id) << "there is no third";
  EXPECT_THAT(waits_for(second), ::testing::AllOf(HasSubstr("node 'b' is beside another guest of rule 'rule'"),
                                                  HasSubstr("node 'c' is beside")));
  break_rules();
  pass(5);
  EXPECT_NE(where(second), nodes_[0].id);
  EXPECT_EQ(waits_for(second), "");
}

TEST_F(DeskRulesTest, GuestsThatBelongTogetherStartTogether) {
  break_rules();  // nothing needs to be broken
  const auto second = add_guest("second", 0, true);
  add_rule(model::RuleKind::together, {vm_.id, second});
  pass(5);
  die(0);
  pass(60);
  EXPECT_NE(where(vm_.id), nodes_[0].id);
  EXPECT_EQ(where(second), where(vm_.id));
}

TEST_F(DeskRulesTest, AGuestThatIsBoundToItsDeadNodeStaysOff) {
  add_rule(model::RuleKind::on_hosts, {vm_.id}, {0});
  die(0);
  pass(60);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, 0U);
  EXPECT_THAT(waits_for(vm_.id), HasSubstr("not among the nodes of rule 'rule'"));
  nodes_[0].on = nodes_[0].answers = true;
  pass(60);
  EXPECT_GT(vm().lease, 0U) << "its node is back";
}

}  // namespace
}  // namespace bridgehead::availability_desk::testing
