// A cluster of three simulated nodes with four guests on the first, and plans that are carried out there as if the
// planner had proposed them.
#pragma once

#include <gtest/gtest.h>

#include "reconcile/commands/plans.h"
#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile::testing {

using model::PlanActionKind;
using model::PlanActionState;
using model::PlanState;

class AppliedPlans : public ::testing::Test {
 protected:
  AppliedPlans() : sim(23, 3) {
    for (auto& agent : sim.agents) sim.connect(*agent);
    sim.pass();
    EXPECT_TRUE(add_pool(sim.commander(), sim.caller(),
                         {.name = "shared", .driver = model::PoolDriver::posix, .path = "/mnt/shared"}));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(import_image(sim.commander(), sim.caller(),
                             {.name = "golden",
                              .pool = "shared",
                              .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/a"}}));
    EXPECT_TRUE(sim.settle());
    for (int i = 0; i < 4; ++i) create(fmt::format("web-{}", i));
    EXPECT_TRUE(sim.settle());
  }

  void create(const std::string& name, const std::string& node = "node0") {
    EXPECT_TRUE(create_vms(
        sim.commander(), sim.caller(),
        {.name = name, .image = "golden", .memory = Bytes(1_GiB), .nics = std::vector<NicRequest>{}, .node = node}));
  }
  model::Vm vm(const std::string& name) { return sim.inventory().find_by_name<model::Vm>(name)->value; }
  model::Node node(const std::string& name) { return sim.inventory().find_by_name<model::Node>(name)->value; }
  std::string where(const std::string& name) { return sim.inventory().find<model::Node>(vm(name).node)->value.name; }

  model::PlanAction move(const std::string& name, const std::string& to, std::vector<std::uint32_t> after = {}) {
    model::PlanAction action{.kind = PlanActionKind::move, .vm = vm(name).id, .vm_name = name};
    action.from = vm(name).node;
    action.from_name = where(name);
    action.to = node(to).id;
    action.to_name = to;
    action.after = std::move(after);
    return action;
  }
  model::PlanAction power(PlanActionKind kind, const std::string& name, std::vector<std::uint32_t> after = {}) {
    model::PlanAction action{.kind = kind, .to = node(name).id, .to_name = name};
    action.after = std::move(after);
    return action;
  }
  // As if the planner had proposed it.
  std::string propose(std::vector<model::PlanAction> actions, std::uint32_t moves_per_node = 8) {
    Proposal proposal;
    proposal.plan.id = model::PlanId(fmt::format("00000000-0000-4000-8000-{:012}", ++proposals));
    proposal.plan.name = fmt::format("plan{}", proposals);
    proposal.plan.actions = std::move(actions);
    proposal.plan.moves_per_node = moves_per_node;
    proposal.basis = std::make_shared<const PlanBasis>(plan_basis(sim.commander(), PlanScope::shown));
    sim.commander().desk.put(proposal);
    return proposal.plan.name;
  }
  model::Operation apply(const std::string& name) {
    const auto accepted = apply_plan(sim.commander(), sim.caller(), name);
    EXPECT_TRUE(accepted) << accepted.error().describe();
    return accepted->operation;
  }
  model::Plan plan(const std::string& name) { return sim.inventory().find_by_name<model::Plan>(name)->value; }
  model::Operation now(const model::Operation& operation) {
    return sim.inventory().find<model::Operation>(operation.id)->value;
  }
  std::size_t open(const char* kind) {
    const auto all = sim.inventory().open_operations();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& record) { return record->value.kind == kind; }));
  }
  // One exchange with every agent.
  void exchange(bool fails = false) {
    sim.pass();
    for (auto& agent : sim.agents) {
      for (int i = 0; i < 16; ++i) sim.deliver_to_agent(*agent, 0, 0);
      agent->work(0, fails);
      for (int i = 0; i < 16; ++i) sim.deliver_to_manager(*agent, 0, 0);
    }
    sim.pass();
  }

  Simulation sim;
  int proposals = 0;
};

}  // namespace bridgehead::reconcile::testing
