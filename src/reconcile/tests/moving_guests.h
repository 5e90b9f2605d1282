// Clusters of three nodes with a guest that is to move, where nothing happens unless a test lets it.
#pragma once

#include <gtest/gtest.h>

#include "reconcile/commands/migration.h"
#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile::testing {

class MovingGuests : public ::testing::Test {
 protected:
  // With VM "web", whose disk is a clone of an image in this pool.
  explicit MovingGuests(const AddPool& pool) : sim(11, 3) {
    for (auto& agent : sim.agents) sim.connect(*agent);
    sim.pass();
    EXPECT_TRUE(add_pool(sim.commander(), sim.caller(), pool));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(import_image(sim.commander(), sim.caller(),
                             {.name = "golden",
                              .pool = pool.name,
                              .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/a"}}));
    EXPECT_TRUE(sim.settle());
    create("web");
    source = &agent_of(vm().node);
    target = sim.agents[0].get() == source ? sim.agents[1].get() : sim.agents[0].get();
    lease = vm().lease;
  }

  void create(const std::string& name, const std::string& node = {}) {
    EXPECT_TRUE(create_vms(
        sim.commander(), sim.caller(),
        {.name = name, .image = "golden", .memory = Bytes(1_GiB), .nics = std::vector<NicRequest>{}, .node = node}));
    EXPECT_TRUE(sim.settle());
  }
  FakeAgent& agent_of(const model::NodeId& node) {
    return **std::find_if(sim.agents.begin(), sim.agents.end(), [&](const auto& one) { return one->id == node; });
  }
  std::string name_of(const FakeAgent& agent) { return sim.inventory().find<model::Node>(agent.id)->value.name; }
  model::Vm vm(const std::string& name = "web") { return sim.inventory().find_by_name<model::Vm>(name)->value; }
  model::Operation migrate(const std::string& name = "web") {
    const auto asked = migrate_vm(sim.commander(), sim.caller(), name, {.to = name_of(*target)});
    EXPECT_TRUE(asked) << asked.error().describe();
    return asked->operation;
  }
  model::Operation now(const model::Operation& operation) {
    return sim.inventory().find<model::Operation>(operation.id)->value;
  }
  void carry(FakeAgent& agent) {
    for (int i = 0; i < 8; ++i) sim.deliver_to_agent(agent, 0, 0);
  }
  void hear(FakeAgent& agent) {
    for (int i = 0; i < 8; ++i) sim.deliver_to_manager(agent, 0, 0);
    sim.pass();
  }
  // A pass, what is on its way down, `steps` of work, what is on its way up.
  void exchange(FakeAgent& agent, int steps = 1, bool fails = false) {
    sim.pass();
    carry(agent);
    for (int i = 0; i < steps; ++i) agent.work(0, fails);
    hear(agent);
  }
  void wait_long() {
    for (int i = 0; i < 30; ++i) {
      sim.advance(std::chrono::seconds(5));
      for (auto& agent : sim.agents) {
        if (sim.connected(agent->id)) sim.deliver_to_manager(*agent, 0, 0);
      }
      sim.pass();
    }
  }
  bool was_asked_to_settle(const FakeAgent& agent) {
    return std::any_of(agent.journal.begin(), agent.journal.end(), [](const auto& entry) {
      return std::holds_alternative<model::SettleVm>(entry.second.assignment.body);
    });
  }
  void expect_settled_on(FakeAgent& agent) {
    EXPECT_TRUE(sim.settle());
    EXPECT_EQ(sim.check(), "");
    EXPECT_EQ(vm().node, agent.id);
    EXPECT_TRUE(agent.guests.contains(vm().id));
  }

  Simulation sim;
  FakeAgent* source = nullptr;
  FakeAgent* target = nullptr;
  std::uint64_t lease = 0;
};

}  // namespace bridgehead::reconcile::testing
