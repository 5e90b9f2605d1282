// What becomes of agents that are upgraded, of which some don't work in their new version.
#include "model/enum_names.h"
#include "reconcile/commands/maintenance.h"
#include "reconcile/commands/upgrades.h"
#include "reconcile/operations/rollout_state.h"
#include "reconcile/operations/upgrade_state.h"
#include "reconcile/problems.h"
#include "reconcile/tests/applied_plans.h"

namespace bridgehead::reconcile {
namespace {

using model::OperationState;
using operations::UpgradeOutcome;
using operations::UpgradeStage;

constexpr std::size_t kNever = 1 << 20;

class Packages final : public UpgradePort {
 public:
  std::string version() const override { return newest; }
  bool has(const std::string& version) const override { return kept.contains(version) || version == newest; }

  std::string newest = "0.2.0";
  std::set<std::string> kept{"0.1.0"};
};

// Three nodes whose agents came with the package 0.1.0; what the upgrade desk and the nodes do is played here.
class Upgrade : public testing::AppliedPlans {
 protected:
  Upgrade() { all_have("0.1.0"); }

  void all_have(const std::string& version) {
    for (auto& agent : sim.agents) {
      agent->version = version;
      sim.disconnect(*agent);
      sim.connect(*agent);
    }
    sim.pass();
  }
  testing::FakeAgent& agent(const model::NodeId& id) {
    return **std::find_if(sim.agents.begin(), sim.agents.end(), [&](const auto& one) { return one->id == id; });
  }
  std::string version_of(const std::string& name) { return agent(node(name).id).version; }

  model::Operation upgrade(UpgradeNodes request = {.all = true}) {
    const auto accepted = upgrade_nodes(sim.commander(), sim.caller(), packages, request);
    EXPECT_TRUE(accepted) << accepted.error().describe();
    return accepted ? *accepted : model::Operation{};
  }
  std::string refused(UpgradeNodes request = {.all = true}) {
    const auto before = sim.inventory().revision();
    const auto accepted = upgrade_nodes(sim.commander(), sim.caller(), packages, request);
    EXPECT_FALSE(accepted);
    EXPECT_EQ(sim.inventory().revision(), before) << "nothing was changed";
    return accepted ? "" : accepted.error().describe();
  }
  std::string story(const model::Operation& operation) {
    std::string text;
    for (const auto& one : operations::agent_rollout_of(now(operation)).nodes) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", one.name, one.state);
    }
    return text;
  }
  std::string state_of(const model::Operation& operation) {
    const auto is = now(operation);
    return fmt::format("{}{}", model::to_string(is.state), is.error ? ": " + is.error->message : "");
  }

  bool note(const state::Record<model::Operation>& record, const operations::UpgradeState& state) {
    auto operation = record->value;
    operations::put_upgrade(operation, state);
    auto edit = sim.inventory().edit();
    edit.update(record, operation);
    return sim.inventory().commit(std::move(edit)).has_value();
  }
  // The desk, and the node's installer: one step of each open upgrade.
  void desk() {
    for (const auto& record : sim.inventory().open_operations()) {
      const auto& operation = record->value;
      if (operation.kind != operations::kNodeUpgrade || operation.state != OperationState::running) continue;
      auto state = operations::upgrade_of(operation);
      if (state.outcome != UpgradeOutcome::none) continue;
      const model::NodeId id(operation.target);
      if (silent.contains(operation.target_name)) continue;
      if (state.stage == UpgradeStage::wait) {
        if (operation.cancel_requested) continue;
        state.stage = UpgradeStage::send;
      } else if (state.stage == UpgradeStage::send) {
        state.stage = UpgradeStage::install;
        state.since = sim.clock.now();
        installed[operation.id] += 1;
        if (!broken.contains(operation.target_name)) agent(id).version = state.version;
        sim.disconnect(agent(id));
        sim.connect(agent(id));
      } else {
        const bool well = !broken.contains(operation.target_name);
        state.outcome = well ? UpgradeOutcome::done : UpgradeOutcome::failed;
        state.since = sim.clock.now();
        if (!well) state.failure = "the agent 0.2.0 wasn't connected and well within 120 s; 0.1.0 runs again";
      }
      if (!note(record, state)) return;
    }
  }
  bool ends(
      const model::Operation& operation, const std::function<void()>& meanwhile = [] {}) {
    for (int i = 0; i < 2000 && !now(operation).terminal(); ++i) {
      exchange();
      if (!sim.manager_dead()) desk();
      if (!sim.manager_dead()) {
        sim.advance(std::chrono::seconds(2));
        sim.hear_agents();
      }
      if (sim.manager_dead()) {
        sim.start_manager();
        for (auto& one : sim.agents) sim.connect(*one);
        sim.pass();
      }
      meanwhile();
    }
    return now(operation).terminal();
  }

  Packages packages;
  std::set<std::string> broken;  // nodes on which the new agent doesn't work
  std::set<std::string> silent;  // nodes that the desk can't ask
  std::map<model::OperationId, int> installed;
};

TEST_F(Upgrade, OneNodeAfterTheOtherAndGuestsStay) {
  const auto operation = upgrade();
  std::size_t most = 0;
  ASSERT_TRUE(ends(operation, [&] { most = std::max(most, open(operations::kNodeUpgrade)); }));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(most, 1u);
  EXPECT_EQ(story(operation), "node0 done, node1 done, node2 done");
  for (const char* name : {"node0", "node1", "node2"}) EXPECT_EQ(node(name).facts.agent_version, "0.2.0");
  for (const char* guest : {"web-0", "web-1", "web-2", "web-3"}) EXPECT_EQ(where(guest), "node0");
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Upgrade, WhoHasItAlreadyIsLeftAlone) {
  all_have("0.2.0");
  const auto operation = upgrade();
  sim.pass();
  EXPECT_EQ(state_of(operation), "succeeded") << "at once";
  EXPECT_TRUE(installed.empty());
  sim.disconnect(agent(node("node1").id));
  agent(node("node1").id).version = "0.1.0";
  sim.connect(agent(node("node1").id));
  sim.pass();
  const auto again = upgrade();
  EXPECT_EQ(operations::agent_rollout_of(now(again)).nodes.front().name, "node1") << "the canary is who has work";
  ASSERT_TRUE(ends(again));
  EXPECT_EQ(story(again), "node1 done, node0 done, node2 done");
  EXPECT_EQ(installed.size(), 1u);
}

TEST_F(Upgrade, ABrokenOneStopsAtTheCanary) {
  broken.insert("node0");
  const auto operation = upgrade({.all = true, .max_unavailable = 3});
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(state_of(operation),
            "failed: stopped: node 'node0': the agent 0.2.0 wasn't connected and well within 120 s; 0.1.0 runs again "
            "(0 of 3 nodes run agent 0.2.0)");
  EXPECT_EQ(story(operation), "node0 failed, node1 left, node2 left");
  EXPECT_EQ(installed.size(), 1u);
  EXPECT_EQ(version_of("node1"), "0.1.0");
}

TEST_F(Upgrade, PoolsThatAreNotReadyAnyMoreFailIt) {
  const auto operation = upgrade({.nodes = {"node0"}});
  ASSERT_TRUE(ends(operation, [&] {
    if (open(operations::kNodeUpgrade) != 0) agent(node("node0").id).pools_are_mounted = false;
  }));
  EXPECT_NE(state_of(operation).find("isn't as well with 0.2.0 as before: pool 'shared' isn't ready"),
            std::string::npos)
      << state_of(operation);
}

TEST_F(Upgrade, ANodeThatSaysNothingIsGivenUp) {
  silent.insert("node0");
  const auto operation = upgrade();
  ASSERT_TRUE(ends(operation));
  EXPECT_NE(state_of(operation).find("node 'node0' couldn't be given the package"), std::string::npos)
      << state_of(operation);
  const auto other = upgrade();
  silent.clear();
  ASSERT_TRUE(ends(other, [&] {
    if (installed.size() == 1) silent.insert("node0");  // from then on
  }));
  EXPECT_NE(state_of(other).find("hasn't said what came of it in 20 min"), std::string::npos) << state_of(other);
}

TEST_F(Upgrade, CancelledItEndsAfterTheNodeUnderWay) {
  const auto operation = upgrade();
  bool asked = false;
  ASSERT_TRUE(ends(operation, [&] {
    if (asked || installed.empty()) return;
    asked = true;
    ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  }));
  EXPECT_EQ(state_of(operation), "cancelled: cancelled: 1 of 3 nodes run agent 0.2.0");
  EXPECT_EQ(story(operation), "node0 done, node1 left, node2 left");
}

TEST_F(Upgrade, OneNodesCanBeCancelledUntilItsAgentMayHaveTheOrder) {
  silent.insert("node0");
  const auto operation = upgrade({.nodes = {"node0"}});
  sim.pass();
  const auto child = operations::upgrade_on(sim.inventory(), node("node0").id);
  ASSERT_TRUE(child);
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), child->value.id.str()));
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(now(child->value).state, OperationState::cancelled);
}

TEST_F(Upgrade, IsRefusedWithAllThatStandsInTheWay) {
  EXPECT_NE(refused({}).find("nodes"), std::string::npos);
  EXPECT_NE(refused({.nodes = {"node0"}, .all = true}).find("nodes"), std::string::npos);
  EXPECT_NE(refused({.nodes = {"nobody"}}).find("there is no node 'nobody'"), std::string::npos);
  EXPECT_NE(refused({.all = true, .max_unavailable = 0}).find("max_unavailable"), std::string::npos);
  EXPECT_NE(refused({.all = true, .version = "0.7.0"}).find("no agent's package of version '0.7.0'"),
            std::string::npos);
  packages.kept.clear();
  EXPECT_NE(refused().find("node 'node2' has 0.1.0, of which this manager has no package to go back to"),
            std::string::npos);
  const auto without = upgrade({.all = true, .without_way_back = true});
  EXPECT_NE(refused().find("agents are being upgraded to 0.2.0"), std::string::npos);
  ASSERT_TRUE(ends(without));
  EXPECT_EQ(state_of(without), "succeeded");
  packages.newest.clear();
  EXPECT_NE(refused().find("no agent's package came with this manager"), std::string::npos);
}

TEST_F(Upgrade, BackIsOneVersionAtATime) {
  packages.kept = {"0.1.0", "0.2.0", "0.3.0"};
  all_have("0.3.0");
  EXPECT_NE(refused({.all = true, .version = "0.1.0"}).find("has 0.3.0, from which 0.1.0 isn't one version back"),
            std::string::npos);
  const auto operation = upgrade();
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(state_of(operation), "succeeded");
  EXPECT_EQ(version_of("node0"), "0.2.0");
}

TEST_F(Upgrade, DisklessNodesGetTheirAgentWithTheirImage) {
  const auto record = sim.inventory().find_by_name<model::Node>("node1");
  auto diskless = record->value;
  diskless.netboot = model::Netboot{.mac = "52:54:00:00:00:01", .approval = model::Approval::approved};
  auto edit = sim.inventory().edit();
  edit.update(record, diskless);
  ASSERT_TRUE(sim.inventory().commit(std::move(edit)));
  EXPECT_EQ(refused({.nodes = {"node1"}}),
            "node 'node1' gets its agent with its image. bh node-image build, then bh node-image rollout. Nothing was "
            "changed.");
  const auto problems = find_problems({.inventory = sim.inventory(), .now = sim.clock.now(), .upgrades = &packages});
  std::string text;
  for (const auto& problem : problems) {
    if (problem.condition.ends_with("agents-older")) text += problem.message + " " + problem.action + "\n";
  }
  EXPECT_EQ(text,
            "2 nodes have an agent older than 0.2.0, which came with this manager: node0, node2 bh node upgrade --all\n"
            "1 node has an agent older than 0.2.0, which came with this manager: node1 They get it with their image: "
            "bh node-image build, then bh node-image rollout.\n");
  const auto operation = upgrade();
  ASSERT_TRUE(ends(operation));
  EXPECT_EQ(story(operation), "node0 done, node2 done");
}

// Killed at every commit in turn, it goes on and ends the same; no node is given the order twice.
TEST_F(Upgrade, OutlivesTheManagersDeathAtAnyCommit) {
  for (std::size_t after = 0; after < 40; ++after) {
    all_have("0.1.0");
    installed.clear();
    const auto operation = upgrade();
    sim.kill_manager_after(after);
    ASSERT_TRUE(ends(operation)) << after;
    ASSERT_EQ(state_of(operation), "succeeded") << after;
    EXPECT_EQ(installed.size(), 3u) << after << ": one operation for each node";
    for (const char* name : {"node0", "node1", "node2"}) EXPECT_EQ(version_of(name), "0.2.0") << after;
    sim.kill_manager_after(kNever);
  }
}

TEST_F(Upgrade, StopsAtTheCanaryWhateverKillsTheManager) {
  broken.insert("node0");
  for (std::size_t after = 0; after < 16; ++after) {
    installed.clear();
    const auto operation = upgrade();
    sim.kill_manager_after(after);
    ASSERT_TRUE(ends(operation)) << after;
    EXPECT_EQ(story(operation), "node0 failed, node1 left, node2 left") << after;
    EXPECT_EQ(installed.size(), 1u) << after;
    sim.kill_manager_after(kNever);
  }
}

}  // namespace
}  // namespace bridgehead::reconcile
