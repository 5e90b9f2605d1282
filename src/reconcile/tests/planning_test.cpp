// Rules, draining, and what the planner does without being asked, with the real planner over fake agents.
#include <gtest/gtest.h>

#include "reconcile/commands/migration.h"
#include "reconcile/commands/planning.h"
#include "reconcile/commands/plans.h"
#include "reconcile/planning/auto_planner.h"
#include "reconcile/planning/snapshot.h"
#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile {
namespace {

using testing::Simulation;

class Planning : public ::testing::Test {
 protected:
  Planning() : sim(31, 4) {
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
    sim.commander().use = &use;
  }

  static CreateVms request(const std::string& name, const std::string& tier, const std::string& node = {}) {
    return {.name = name,
            .image = "golden",
            .memory = Bytes(1_GiB),
            .nics = std::vector<NicRequest>{},
            .node = node,
            .labels = {{"tier", tier}}};
  }
  void create(const std::string& name, const std::string& tier, const std::string& node = {}) {
    const auto made = create_vms(sim.commander(), sim.caller(), request(name, tier, node));
    ASSERT_TRUE(made) << made.error().describe();
    ASSERT_TRUE(sim.settle());
  }
  void rule(AddRule request) {
    const auto added = add_rule(sim.commander(), sim.caller(), request);
    ASSERT_TRUE(added) << added.error().describe();
  }
  void policy(const PolicyChange& change) {
    const auto set = set_policy(sim.commander(), sim.caller(), change);
    ASSERT_TRUE(set) << set.error().describe();
  }
  std::string where(const std::string& name) {
    const auto vm = sim.inventory().find_by_name<model::Vm>(name);
    return sim.inventory().find<model::Node>(vm->value.node)->value.name;
  }
  std::size_t plans() { return sim.inventory().all<model::Plan>().size(); }
  std::size_t nodes_used() {
    std::set<model::NodeId> nodes;
    for (const auto& vm : sim.inventory().all<model::Vm>()) nodes.insert(vm->value.node);
    return nodes.size();
  }
  // Every guest is measured, with this many CPUs busy.
  void measure(double cpus) {
    for (const auto& vm : sim.inventory().all<model::Vm>()) {
      use.note(vm->value.node, {.guests = {{.vm = vm->value.id, .cpus = cpus, .memory = Bytes(1_GiB)}}}, Bytes(),
               sim.clock.now());
    }
  }
  // A look every ten seconds.
  void looks(AutoPlanner& planner, int count, double cpus) {
    for (int i = 0; i < count; ++i) {
      sim.advance(std::chrono::seconds(10));
      measure(cpus);
      const auto looked = planner.look();
      ASSERT_TRUE(looked) << looked.error().describe();
    }
  }

  Simulation sim;
  UseHistory use;
};

TEST_F(Planning, NewGuestsKeepHardRules) {
  rule({.name = "spread", .kind = model::RuleKind::apart, .labels = {{"tier", "web"}}});
  auto four = request("web", "web");
  four.count = 4;
  ASSERT_TRUE(create_vms(sim.commander(), sim.caller(), four));
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(nodes_used(), 4u) << "though all were asked for at once";
  const auto fifth = create_vms(sim.commander(), sim.caller(), request("more", "web"));
  ASSERT_FALSE(fifth);
  EXPECT_NE(fifth.error().message.find("beside another guest of rule 'spread'"), std::string::npos)
      << fifth.error().message;
  const auto moved = migrate_vm(sim.commander(), sim.caller(), "web-1", {.to = where("web-2")});
  ASSERT_FALSE(moved);
  EXPECT_NE(moved.error().message.find("rule 'spread'"), std::string::npos) << moved.error().message;
  create("other", "db");
}

TEST_F(Planning, RacksNodesAndExclusiveOnesAreKept) {
  ASSERT_TRUE(update_node(sim.commander(), sim.caller(), "node0", {.rack = "r1"}));
  ASSERT_TRUE(update_node(sim.commander(), sim.caller(), "node1", {.rack = "r1"}));
  rule({.name = "racks",
        .kind = model::RuleKind::apart,
        .domain = model::FailureDomain::rack,
        .labels = {{"tier", "web"}}});
  create("web-a", "web", "node0");
  EXPECT_FALSE(create_vms(sim.commander(), sim.caller(), request("web-b", "web", "node1")));
  create("web-b", "web", "node2");

  rule({.name = "pin", .kind = model::RuleKind::on_hosts, .labels = {{"tier", "db"}}, .nodes = {"node3"}});
  create("db", "db");
  EXPECT_EQ(where("db"), "node3");

  rule({.name = "alone", .kind = model::RuleKind::exclusive, .labels = {{"tier", "secret"}}});
  create("secret", "secret");
  EXPECT_EQ(where("secret"), "node1") << "the only node without guests";
  EXPECT_FALSE(create_vms(sim.commander(), sim.caller(), request("x", "any", "node1")));
  EXPECT_FALSE(create_vms(sim.commander(), sim.caller(), request("y", "secret", "node2")));
}

TEST_F(Planning, WrongRulesAndPoliciesAreRefused) {
  const auto refused = [&](AddRule request, std::string_view field) {
    const auto added = add_rule(sim.commander(), sim.caller(), request);
    ASSERT_FALSE(added) << field;
    EXPECT_TRUE(added.error().message.starts_with(field)) << added.error().message;
  };
  refused({.name = "r", .kind = model::RuleKind::apart}, "vms: ");
  refused({.name = "r", .kind = model::RuleKind::apart, .vms = {"nobody", "none"}}, "vms[0]: ");
  refused({.name = "r", .kind = model::RuleKind::on_hosts, .labels = {{"a", "b"}}}, "nodes: ");
  refused({.name = "r", .kind = model::RuleKind::apart, .labels = {{"a", "b"}}, .nodes = {"node0"}}, "nodes: ");
  refused(
      {.name = "r", .kind = model::RuleKind::exclusive, .domain = model::FailureDomain::rack, .labels = {{"a", "b"}}},
      "domain: ");
  refused({.name = "r", .kind = model::RuleKind::apart, .weight = 3, .labels = {{"a", "b"}}}, "weight: ");
  EXPECT_FALSE(set_policy(sim.commander(), sim.caller(), {.ceiling = 0.01}));
  EXPECT_FALSE(set_policy(sim.commander(), sim.caller(), {.moves_per_node = 0}));
  EXPECT_FALSE(
      set_policy(sim.commander(), sim.caller(), {.power_at_night_only = true, .night_from = 5, .night_to = 5}));
}

TEST_F(Planning, ABrokenRuleIsMendedUnasked) {
  create("web-a", "web", "node0");
  create("web-b", "web", "node0");
  AutoPlanner planner(sim.commander());
  looks(planner, 1, 0.1);
  EXPECT_EQ(plans(), 0u);
  rule({.name = "spread", .kind = model::RuleKind::apart, .labels = {{"tier", "web"}}});
  looks(planner, 7, 0.1);
  ASSERT_TRUE(sim.settle());
  EXPECT_NE(where("web-a"), where("web-b"));
  ASSERT_EQ(plans(), 1u);
  const auto plan = sim.inventory().all<model::Plan>().front()->value;
  EXPECT_EQ(plan.state, model::PlanState::applied);
  EXPECT_EQ(plan.created_by, "planner");
  EXPECT_EQ(plan.actions.size(), 1u);
  looks(planner, 20, 0.1);
  EXPECT_EQ(plans(), 1u) << "then it rests";
}

TEST_F(Planning, ADrainedNodeIsEmptied) {
  for (int i = 0; i < 3; ++i) create(fmt::format("a-{}", i), "any", "node0");
  const auto drained = drain_node(sim.commander(), sim.caller(), "node0");
  ASSERT_TRUE(drained) << drained.error().describe();
  ASSERT_TRUE(drained->operation);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.inventory().find<model::Operation>(drained->operation->id)->value.state,
            model::OperationState::succeeded);
  for (int i = 0; i < 3; ++i) EXPECT_NE(where(fmt::format("a-{}", i)), "node0");
  EXPECT_FALSE(create_vms(sim.commander(), sim.caller(), request("b", "any", "node0")));
  const auto again = drain_node(sim.commander(), sim.caller(), "node0");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->operation) << "nothing is left to do";
  ASSERT_TRUE(undrain_node(sim.commander(), sim.caller(), "node0"));
  create("b", "any", "node0");
}

TEST_F(Planning, AGuestThatMayNotMoveKeepsItsNodeFromBeingEmptied) {
  create("stays", "any", "node0");
  ASSERT_TRUE(update_vm(sim.commander(), sim.caller(), "stays", {.may_move = false}));
  ASSERT_TRUE(sim.settle());
  const auto drained = drain_node(sim.commander(), sim.caller(), "node0");
  ASSERT_TRUE(drained);
  EXPECT_FALSE(drained->operation);
  ASSERT_TRUE(drained->plan);
  ASSERT_FALSE(drained->plan->conflicts.empty());
  EXPECT_EQ(drained->plan->conflicts[0].vms, std::vector<std::string>{"stays"});
}

TEST_F(Planning, BalanceActsOnALoadThatLasts) {
  for (int i = 0; i < 4; ++i) create(fmt::format("a-{}", i), "any", "node0");
  policy({.balance = model::PlanMode::automatic,
          .consolidate = model::PlanMode::off,
          .interval_seconds = 10,
          .sustained_seconds = 60});
  AutoPlanner planner(sim.commander());
  looks(planner, 5, 12);
  EXPECT_EQ(plans(), 0u) << "it may be over soon";
  looks(planner, 3, 12);
  ASSERT_EQ(plans(), 1u);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(nodes_used(), 4u);
  looks(planner, 30, 12);
  EXPECT_EQ(plans(), 1u) << "then it rests";
}

TEST_F(Planning, AProposalIsShownAndNotDone) {
  for (int i = 0; i < 4; ++i) create(fmt::format("a-{}", i), "any", "node0");
  policy({.interval_seconds = 10, .sustained_seconds = 0});
  AutoPlanner planner(sim.commander());
  looks(planner, 10, 12);
  EXPECT_EQ(plans(), 0u);
  const auto proposal = propose_plan(sim.commander());
  ASSERT_FALSE(proposal.plan.actions.empty());
  for (const auto& action : proposal.plan.actions) EXPECT_FALSE(action.reason.empty());
  const auto replay = replay_plan(sim.commander(), proposal.plan.name);
  ASSERT_TRUE(replay);
  EXPECT_TRUE(replay->same);
  const auto accepted = apply_plan(sim.commander(), sim.caller(), proposal.plan.name);
  ASSERT_TRUE(accepted) << accepted.error().describe();
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.inventory().find<model::Plan>(proposal.plan.id)->value.state, model::PlanState::applied);
  EXPECT_TRUE(replay_plan(sim.commander(), proposal.plan.name)->same) << "from what was kept";
}

TEST_F(Planning, WhatIfChangesNothing) {
  for (int i = 0; i < 3; ++i) create(fmt::format("a-{}", i), "any", "node0");
  const auto plan = plan_what_if(sim.commander(), {.remove_nodes = {"node0"},
                                                   .add_nodes = {{.count = 2, .cpus = 64, .memory = Bytes(512_GiB)}},
                                                   .add_vms = {{.name = "new", .cpus = 4, .memory = Bytes(8_GiB)}}});
  ASSERT_TRUE(plan) << plan.error().describe();
  std::size_t moves = 0;
  std::size_t placed = 0;
  for (const auto& action : plan->actions) {
    moves += action.kind == model::PlanActionKind::move && action.from_name == "node0" ? 1 : 0;
    placed += action.kind == model::PlanActionKind::place ? 1 : 0;
  }
  EXPECT_EQ(moves, 3u);
  EXPECT_EQ(placed, 1u);
  EXPECT_EQ(where("a-0"), "node0");
  EXPECT_EQ(apply_plan(sim.commander(), sim.caller(), "what-if").error().code, ErrorCode::not_found);
}

// Busy from nine to five on seven days: at eight it is known what comes.
TEST_F(Planning, DemandIsExpectedFromTheDaysBefore) {
  create("office", "any", "node0");
  const auto vm = sim.inventory().find_by_name<model::Vm>("office")->value;
  const Timestamp start{std::chrono::floor<std::chrono::days>(sim.clock.now())};
  const auto busy = [](int hour) { return hour >= 9 && hour < 17; };
  Timestamp now = start;
  for (int step = 0; step < (7 * 24 + 8) * 12 + 6; ++step) {
    now = start + std::chrono::minutes(5) * step;
    use.note(vm.node, {.guests = {{.vm = vm.id, .cpus = busy(step / 12 % 24) ? 8.0 : 0.5, .memory = Bytes(1_GiB)}}},
             Bytes(), now);
  }
  const auto limits = sim.commander().limits;
  const auto demand = [&](std::chrono::seconds horizon) {
    model::PlanningPolicy policy;
    policy.horizon = horizon;
    const auto cluster =
        planning_snapshot({.inventory = sim.inventory(), .use = &use, .limits = limits, .now = now}, policy);
    EXPECT_FALSE(cluster.forecast.empty());
    return cluster.guests.at(0).demand[static_cast<std::size_t>(scheduler::Resource::cpu_used)];
  };
  EXPECT_LT(demand(std::chrono::minutes(10)), 4);
  EXPECT_GT(demand(std::chrono::hours(2)), 4) << "at half past eight";
}

// The same of all guests together, which says how many nodes are needed and when.
TEST_F(Planning, TheClustersDemandIsForecastByTheTimeOfDay) {
  create("office", "any", "node0");
  const auto vm = sim.inventory().find_by_name<model::Vm>("office")->value;
  const Timestamp start{std::chrono::floor<std::chrono::days>(sim.clock.now())};
  Timestamp now = start;
  for (int step = 0; step < (7 * 24 + 6) * 12; ++step) {
    now = start + std::chrono::minutes(5) * step;
    const int hour = step / 12 % 24;
    use.note(vm.node, {.guests = {{.vm = vm.id, .cpus = hour >= 9 && hour < 17 ? 8.0 : 0.5, .memory = Bytes(1_GiB)}}},
             Bytes(), now);
  }
  const auto limits = sim.commander().limits;
  const auto cluster = planning_snapshot({.inventory = sim.inventory(), .use = &use, .limits = limits, .now = now}, {});
  const auto cpus = [&](std::size_t quarters) {  // after six o'clock
    return cluster.forecast.at(quarters)[static_cast<std::size_t>(scheduler::Resource::cpu_used)];
  };
  EXPECT_LT(cpus(4), 2) << "at seven";
  EXPECT_GT(cpus(4 * 4), 6) << "at ten";
  EXPECT_LT(cpus(14 * 4), 2) << "at eight in the evening";
}

// Moves are under way when a node that was to be off is needed, since all three that are on may fail from now on.
TEST_F(Planning, APlanOfItsOwnMakesWayForANodeThatIsNeeded) {
  create("a", "any", "node0");
  create("b", "any", "node0");
  create("c", "other", "node1");
  create("d", "other", "node2");
  const auto off = sim.inventory().find_by_name<model::Node>("node3");
  auto edit = sim.inventory().edit();
  auto node = off->value;
  node.to_be_off = true;
  edit.update(off, node);
  ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  policy({.balance = model::PlanMode::off,
          .consolidate = model::PlanMode::off,
          .power = model::PlanMode::automatic,
          .failures = 0,
          .interval_seconds = 10});
  rule({.name = "spread", .kind = model::RuleKind::apart, .labels = {{"tier", "any"}}});
  AutoPlanner planner(sim.commander());
  const auto look = [&] {  // the world stands still meanwhile
    sim.clock.advance(std::chrono::seconds(10));
    measure(0.1);
    ASSERT_TRUE(planner.look());
  };
  look();
  ASSERT_EQ(plans(), 1u);
  const auto cancelled = [&] {
    const auto open = sim.inventory().open_operations();
    return std::any_of(open.begin(), open.end(), [](const auto& operation) {
      return operation->value.kind == model::operation_kind::plan_apply && operation->value.cancel_requested;
    });
  };
  look();
  EXPECT_FALSE(cancelled()) << "nothing is needed yet";
  policy({.failures = 3});
  look();
  EXPECT_TRUE(cancelled());
  ASSERT_TRUE(sim.settle());
  look();
  ASSERT_TRUE(sim.settle());
  EXPECT_FALSE(sim.inventory().find<model::Node>(node.id)->value.to_be_off) << "woken";
  look();
  ASSERT_TRUE(sim.settle());
  EXPECT_NE(where("a"), where("b")) << "and what was to be mended is";
}

TEST_F(Planning, AGuestsMovesOfADayAreCounted) {
  create("a", "any", "node0");
  const auto moves = [&] {
    const auto limits = sim.commander().limits;
    return planning_snapshot({.inventory = sim.inventory(), .use = &use, .limits = limits, .now = sim.clock.now()}, {})
        .guests.at(0)
        .moves_of_a_day;
  };
  for (const auto* node : {"node1", "node2"}) {
    ASSERT_TRUE(migrate_vm(sim.commander(), sim.caller(), "a", {.to = node}));
    ASSERT_TRUE(sim.settle());
    ASSERT_EQ(where("a"), node);
  }
  EXPECT_EQ(moves(), 2u);
  sim.advance(std::chrono::hours(25));
  EXPECT_EQ(moves(), 0u);
}

TEST_F(Planning, OldPlansAreForgotten) {
  for (int i = 0; i < 25; ++i) {
    const auto created = sim.clock.now();
    auto edit = sim.inventory().edit();
    const model::PlanId id(fmt::format("00000000-0000-4000-8000-{:012}", i));
    edit.create(
        model::Plan{.id = id, .name = fmt::format("p{}", i), .state = model::PlanState::applied, .created = created});
    edit.create(model::PlanInput{.id = id, .created = created, .text = "{}"});
    ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
    sim.advance(std::chrono::seconds(1));
  }
  ASSERT_TRUE(trim_plans(sim.inventory()));
  EXPECT_EQ(plans(), 25u);
  EXPECT_EQ(sim.inventory().all<model::PlanInput>().size(), 20u);
  EXPECT_FALSE(sim.inventory().find<model::PlanInput>(model::PlanId("00000000-0000-4000-8000-000000000000")));
}

}  // namespace
}  // namespace bridgehead::reconcile
