// The cluster of applied_plans.h, whose three nodes boot over the network and have power control: machines that are
// switched, boot what they are assigned to, and join again; the planner and the reconciler run beside them.
#pragma once

#include "model/enum_names.h"
#include "reconcile/commands/maintenance.h"
#include "reconcile/commands/power.h"
#include "reconcile/operations/maintenance_state.h"
#include "reconcile/operations/records.h"
#include "reconcile/planning/auto_planner.h"
#include "reconcile/tests/applied_plans.h"

namespace bridgehead::reconcile::testing {

class MaintainedNodes : public AppliedPlans {
 protected:
  MaintainedNodes() : planner(std::make_unique<AutoPlanner>(sim.commander())) {
    for (int version : {1, 2, 3}) {
      auto edit = sim.inventory().edit();
      edit.create(
          model::NodeImage{.id = model::NodeImageId(fmt::format("00000000-0000-4000-8000-00000000000{}", version)),
                           .name = fmt::format("debian-12:{}", version),
                           .base = "debian-12",
                           .version = static_cast<std::uint32_t>(version),
                           .state = version == 3 ? model::NodeImageState::building : model::NodeImageState::ready,
                           .transports = {model::RootTransport::nbd}});
      EXPECT_TRUE(sim.inventory().commit(std::move(edit)));
    }
    for (const auto& name : names) {
      change(name, [&](model::Node& node) {
        node.certificate_serial = "1";
        node.netboot = model::Netboot{
            .mac = "52:54:00:00:00:0" + name.substr(4), .approval = model::Approval::approved, .image = "debian-12:1"};
      });
      EXPECT_TRUE(boots(name));
      EXPECT_TRUE(set_bmc(sim.commander(), sim.caller(), name,
                          {.driver = "ipmi", .address = "bmc-of-" + name, .user = "", .options = {}}));
    }
    for (auto& agent : sim.agents) sim.connect(*agent);
    sim.pass();
  }

  void change(const std::string& name, const std::function<void(model::Node&)>& how) {
    const auto record = sim.inventory().find_by_name<model::Node>(name);
    auto value = record->value;
    how(value);
    auto edit = sim.inventory().edit();
    edit.update(record, value);
    EXPECT_TRUE(sim.inventory().commit(std::move(edit)));
  }
  FakeAgent& agent(const std::string& name) {
    const auto id = node(name).id;
    return **std::find_if(sim.agents.begin(), sim.agents.end(), [&](const auto& one) { return one->id == id; });
  }
  // Its loader asks for what it boots; false when the manager dies of the answer.
  bool boots(const std::string& name) {
    const auto value = node(name);
    const auto before = sim.inventory().find<model::Boot>(value.id);
    model::Boot boot{.id = value.id, .image = value.netboot->image, .started = sim.clock.now()};
    boot.events.push_back({.step = model::BootStep::bootstrap, .message = boot.image, .time = boot.started});
    auto edit = sim.inventory().edit();
    before ? edit.update(before, boot) : edit.create(boot);
    return sim.inventory().commit(std::move(edit)).has_value();
  }
  // As the power desk ends it.
  bool end_power(const state::Record<model::Operation>& record, bool well = true) {
    auto operation = record->value;
    operation.state = well ? model::OperationState::succeeded : model::OperationState::failed;
    if (!well) operation.error = Error{ErrorCode::unavailable, "its BMC doesn't answer", {}};
    operation.finished = sim.clock.now();
    auto edit = sim.inventory().edit();
    edit.update(record, operation);
    return sim.inventory().commit(std::move(edit)).has_value();
  }
  std::string asked(const std::string& name) {
    const auto operation = switching(sim.inventory(), node(name));
    return operation ? operations::parameter<std::string>(operation->value, "action", {}) : "";
  }

  // Machines a little later: those to be switched are, when nobody is on them; those that boot ask, and join.
  void machines() {
    for (const auto& name : names) {
      const auto power = switching(sim.inventory(), node(name));
      if (!power) continue;
      EXPECT_TRUE(guests_on(name).empty()) << name << " was switched under its guests";
      const auto action = asked(name);
      sim.disconnect(agent(name));
      if (!end_power(power, !bmcs_away)) return;
      switched[name] += 1;
      joins.erase(name);
      asking.erase(name);
      if (!bmcs_away && action == "cycle") asking.insert(name);
    }
    for (auto at = asking.begin(); at != asking.end();) {
      if (!boots(*at)) return;
      const bool works = !dead.contains(*at) && !broken.contains(node(*at).netboot->image);
      if (works) joins[*at] = sim.clock.now() + std::chrono::seconds(40);
      at = asking.erase(at);
    }
    for (auto at = joins.begin(); at != joins.end();) {
      if (at->second > sim.clock.now()) {
        ++at;
        continue;
      }
      sim.connect(agent(at->first));
      at = joins.erase(at);
    }
  }
  std::vector<std::string> guests_on(const std::string& name) {
    std::vector<std::string> guests;
    for (const auto& one : sim.inventory().vms_on_node(node(name).id)) guests.push_back(one->value.name);
    return guests;
  }
  void step() {
    exchange();
    if (sim.manager_dead()) return;
    (void)planner->look();
    if (sim.manager_dead()) return;
    machines();
    sim.advance(std::chrono::seconds(2));
    sim.hear_agents();
  }
  void restart_manager() {
    planner.reset();
    sim.start_manager();
    planner = std::make_unique<AutoPlanner>(sim.commander());
    for (const auto& name : names) {
      const auto boot = sim.inventory().find<model::Boot>(node(name).id);
      const bool away =
          joins.contains(name) || asking.contains(name) || dead.contains(name) || broken.contains(boot->value.image);
      if (!away) sim.connect(agent(name));
    }
    sim.pass();
  }
  // Until it has ended; false when it doesn't.
  bool ends(
      const model::Operation& operation, const std::function<void()>& meanwhile = [] {}) {
    for (int i = 0; i < 3000 && !now(operation).terminal(); ++i) {
      step();
      if (sim.manager_dead()) restart_manager();
      meanwhile();
    }
    return now(operation).terminal();
  }
  std::string state_of(const model::Operation& operation) {
    const auto is = now(operation);
    return fmt::format("{}{}", model::to_string(is.state), is.error ? ": " + is.error->message : "");
  }
  bool is_open(const std::string& name) { return node(name).schedulable && !node(name).draining; }

  const std::vector<std::string> names{"node0", "node1", "node2"};
  std::unique_ptr<AutoPlanner> planner;
  std::set<std::string> broken;  // images whose agent doesn't start
  std::set<std::string> dead;    // machines that don't come back
  bool bmcs_away = false;
  std::set<std::string> asking;  // for what they boot
  std::map<std::string, Timestamp> joins;
  std::map<std::string, int> switched;
};

}  // namespace bridgehead::reconcile::testing
