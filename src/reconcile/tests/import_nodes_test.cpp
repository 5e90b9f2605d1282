// Images that several nodes copy together, in clusters where nothing happens unless a test lets it.
#include <gtest/gtest.h>

#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile {
namespace {

using testing::FakeAgent;
using testing::Simulation;

class ImportNodes : public ::testing::Test {
 protected:
  ImportNodes() : sim(5, 4) {
    for (auto& agent : sim.agents) sim.connect(*agent);
    sim.pass();
    for (const auto* name : {"first", "second"}) {
      EXPECT_TRUE(add_pool(sim.commander(), sim.caller(),
                           {.name = name, .driver = model::PoolDriver::posix, .path = fmt::format("/mnt/{}", name)}));
      EXPECT_TRUE(sim.settle());
    }
    EXPECT_TRUE(add_pool(sim.commander(), sim.caller(), {.name = "local", .path = "/var/pool"}));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(import_image(sim.commander(), sim.caller(),
                             {.name = "golden",
                              .pool = "first",
                              .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/a"}}));
    EXPECT_TRUE(sim.settle());
  }

  static ImportImage request(std::optional<std::uint64_t> most = {}, std::vector<std::string> nodes = {}) {
    return {.name = "copy",
            .pool = "second",
            .source = {.kind = model::ImageSourceKind::image, .location = "golden"},
            .most_nodes = most,
            .nodes = std::move(nodes)};
  }
  model::Operation ask(const ImportImage& request) {
    const auto asked = import_image(sim.commander(), sim.caller(), request);
    EXPECT_TRUE(asked) << asked.error().describe();
    sim.pass();
    return now(asked->operation);
  }
  model::Operation now(const model::Operation& operation) {
    return sim.inventory().find<model::Operation>(operation.id)->value;
  }
  FakeAgent& agent_of(const model::NodeId& node) {
    return **std::find_if(sim.agents.begin(), sim.agents.end(), [&](const auto& one) { return one->id == node; });
  }
  std::string name_of(const FakeAgent& agent) { return sim.inventory().find<model::Node>(agent.id)->value.name; }
  static std::vector<model::NodeId> helpers_of(const model::Operation& operation) {
    std::vector<model::NodeId> nodes;
    for (auto& id : operation.parameters.value("helpers", std::vector<std::string>())) nodes.emplace_back(id);
    return nodes;
  }
  bool works_on(const FakeAgent& agent, const model::Operation& operation) {
    const auto found = agent.journal.find(operation.id);
    return found != agent.journal.end() && !found->second.end;
  }
  void carry_all() {
    for (auto& agent : sim.agents) {
      for (int i = 0; i < 8; ++i) sim.deliver_to_agent(*agent, 0, 0);
    }
  }
  void hear_all() {
    for (auto& agent : sim.agents) {
      for (int i = 0; i < 8; ++i) sim.deliver_to_manager(*agent, 0, 0);
    }
    sim.pass();
  }
  void expect_done(const model::Operation& operation) {
    EXPECT_TRUE(sim.settle());
    EXPECT_EQ(sim.check(), "");
    EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  }
  void expect_refused(const ImportImage& request, std::string_view part) {
    const auto refused = import_image(sim.commander(), sim.caller(), request);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().describe().find(part), std::string::npos) << refused.error().describe();
  }

  Simulation sim;
};

TEST_F(ImportNodes, AsManyAsWereAskedForAreTold) {
  const auto operation = ask(request(3));
  EXPECT_EQ(helpers_of(operation).size(), 2U);
  carry_all();
  const auto& led = std::get<model::ImportImage>(agent_of(operation.node).journal.at(operation.id).assignment.body);
  EXPECT_EQ(led.helpers, helpers_of(operation));
  for (const auto& node : led.helpers) {
    const auto& help = std::get<model::HelpImport>(agent_of(node).journal.at(operation.id).assignment.body);
    EXPECT_EQ(help.leader, operation.node);
    EXPECT_EQ(help.source_image.name, "golden");
  }
  expect_done(operation);
}

TEST_F(ImportNodes, TheFirstOfThoseThatWereNamedLeads) {
  const auto operation = ask(request({}, {name_of(*sim.agents[2]), name_of(*sim.agents[0])}));
  EXPECT_EQ(operation.node, sim.agents[2]->id);
  EXPECT_EQ(helpers_of(operation), std::vector{sim.agents[0]->id});
  expect_done(operation);
}

TEST_F(ImportNodes, ASmallImageIsOneNodesWorkUnlessAsked) {
  EXPECT_TRUE(helpers_of(ask(request())).empty());
  EXPECT_TRUE(sim.settle());
  ASSERT_TRUE(delete_image(sim.commander(), sim.caller(), "copy"));
  EXPECT_TRUE(sim.settle());

  auto record = sim.inventory().find_by_name<model::Image>("golden");
  auto large = record->value;
  large.allocated = sim.options.spread_import_from;
  auto edit = sim.inventory().edit();
  edit.update(record, large);
  ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  const auto operation = ask(request());
  EXPECT_EQ(helpers_of(operation).size() + 1, sim.options.nodes_per_import);
  expect_done(operation);
}

TEST_F(ImportNodes, WhoDoesNotKnowHowOrIsAwayIsNotAsked) {
  sim.agents[0]->helps_imports = false;
  sim.connect(*sim.agents[0]);
  sim.disconnect(*sim.agents[1]);
  sim.pass();
  const auto operation = ask(request(
      {}, {name_of(*sim.agents[2]), name_of(*sim.agents[0]), name_of(*sim.agents[1]), name_of(*sim.agents[3])}));
  EXPECT_EQ(helpers_of(operation), std::vector{sim.agents[3]->id});
  expect_done(operation);
}

TEST_F(ImportNodes, NobodyIsAskedToHelpALeaderThatDoesNotKnowHow) {
  sim.agents[2]->helps_imports = false;
  sim.connect(*sim.agents[2]);
  sim.pass();
  const auto operation = ask(request({}, {name_of(*sim.agents[2]), name_of(*sim.agents[0])}));
  EXPECT_EQ(operation.node, sim.agents[2]->id);
  EXPECT_TRUE(helpers_of(operation).empty());
  expect_done(operation);
}

TEST_F(ImportNodes, NodesWithEnoughToDoAreNotAsked) {
  for (const auto* name : {"a", "b"}) {
    auto other = request({}, {name_of(*sim.agents[0])});
    other.name = name;
    ask(other);
  }
  const auto operation = ask(request({}, {name_of(*sim.agents[1]), name_of(*sim.agents[0]), name_of(*sim.agents[2])}));
  EXPECT_EQ(helpers_of(operation), std::vector{sim.agents[2]->id});
  expect_done(operation);
}

TEST_F(ImportNodes, HelpersThatFailOrVanishChangeNothing) {
  const auto operation = ask(request(3));
  carry_all();
  const auto helpers = helpers_of(operation);
  agent_of(helpers[0]).work(0, true);
  sim.disconnect(agent_of(helpers[1]));
  hear_all();
  EXPECT_EQ(now(operation).state, model::OperationState::running);
  auto& leader = agent_of(operation.node);
  for (int i = 0; i < 10; ++i) leader.work(0, false);
  hear_all();
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  expect_done(operation);
}

TEST_F(ImportNodes, WhateverEndsItEndsItsHelpers) {
  const auto operation = ask(request(3));
  carry_all();
  for (const auto& node : helpers_of(operation)) EXPECT_TRUE(works_on(agent_of(node), operation));
  agent_of(operation.node).work(0, true);
  hear_all();
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  carry_all();
  for (const auto& node : helpers_of(operation)) EXPECT_TRUE(agent_of(node).journal.at(operation.id).cancel);
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(ImportNodes, ACancelReachesAll) {
  const auto operation = ask(request(4));
  carry_all();
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  sim.pass();
  carry_all();
  for (const auto& agent : sim.agents) EXPECT_TRUE(agent->journal.at(operation.id).cancel);
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled);
}

TEST_F(ImportNodes, TheProgressIsTheLeaders) {
  const auto operation = ask(request(2));
  carry_all();
  const auto tell = [&](const model::NodeId& node, std::uint64_t done) {
    agent_of(node).said.push_back({.report = {.operation = operation.id,
                                              .state = model::AssignmentState::running,
                                              .progress = {.phase = "copy", .done = done, .total = 100}}});
  };
  tell(operation.node, 40);
  tell(helpers_of(operation)[0], 7);
  hear_all();
  EXPECT_EQ(sim.progress.of(operation.id)->done, 40U);
  expect_done(operation);
}

TEST_F(ImportNodes, WhatSeveralNodesCannotDoIsRefused) {
  auto url = request(2);
  url.source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/b"};
  expect_refused(url, "shared pool");
  auto local = request(2);
  local.pool = "local";
  expect_refused(local, "shared pool");
  expect_refused(request(0), "between 1 and 64");
  expect_refused(request(2, {"node0"}), "without most_nodes");
  expect_refused(request({}, {"node0", "node9"}), "node9");
  expect_refused(request({}, {"node0", "node0"}), "twice");
  auto both = request({}, {"node0"});
  both.node = "node1";
  expect_refused(both, "without node");
  url.most_nodes = 1;
  EXPECT_TRUE(helpers_of(ask(url)).empty());
}

}  // namespace
}  // namespace bridgehead::reconcile
