// The proof that whatever is killed, lost or goes wrong, every operation ends done or undone: hundreds of seeded runs
// with random commands, message loss and doubling, broken streams, failing hosts, and a manager and agents that are
// killed at any moment. A failure prints its seed; BRIDGEHEAD_SIMULATION_SEED runs that one alone,
// BRIDGEHEAD_SIMULATION_SEEDS that many.
#include <gtest/gtest.h>

#include <cstdlib>

#include "reconcile/commands/disks.h"
#include "reconcile/commands/migration.h"
#include "reconcile/commands/plans.h"
#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile {
namespace {

using testing::FakeAgent;
using testing::Simulation;

class Driver {
 public:
  explicit Driver(std::uint64_t seed) : Driver(seed, 1 + seed % 3) {}
  Driver(std::uint64_t seed, std::size_t nodes) : sim_(seed, nodes) {}

  // `mobile`: with so many guests on shared storage, and hardly anything but plans that move them.
  void run(int steps, std::size_t mobile = 0) {
    for (auto& agent : sim_.agents) sim_.connect(*agent);
    sim_.pass();
    prepare();
    if (mobile != 0) {
      ASSERT_TRUE(create_vms(sim_.commander(), sim_.caller(),
                             {.name = "mobile",
                              .count = mobile,
                              .image = "everywhere",
                              .memory = Bytes(1_GiB),
                              .nics = std::vector<NicRequest>{}}));
      ASSERT_TRUE(sim_.settle());
      only_plans_ = true;
    }
    for (int i = 0; i < steps; ++i) {
      step();
      if (sim_.manager_dead() && sim_.chance(0.2)) sim_.start_manager();
    }
    if (sim_.manager_dead()) sim_.start_manager();
  }

  Simulation& sim() { return sim_; }

 private:
  // A pool and a golden image, without faults, so that there is something to work with.
  void prepare() {
    ASSERT_TRUE(add_pool(sim_.commander(), sim_.caller(), {.name = "local", .path = "/var/pool"}));
    ASSERT_TRUE(sim_.settle());
    ASSERT_TRUE(import_image(sim_.commander(), sim_.caller(),
                             {.name = "golden",
                              .pool = "local",
                              .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/a"}}));
    ASSERT_TRUE(create_network(sim_.commander(), sim_.caller(), {.name = "default"}));
    ASSERT_TRUE(add_pool(sim_.commander(), sim_.caller(),
                         {.name = "shared", .driver = model::PoolDriver::posix, .path = "/mnt/shared"}));
    ASSERT_TRUE(add_pool(sim_.commander(), sim_.caller(),
                         {.name = "second", .driver = model::PoolDriver::posix, .path = "/mnt/second"}));
    ASSERT_TRUE(sim_.settle());
    ASSERT_TRUE(import_image(sim_.commander(), sim_.caller(),
                             {.name = "everywhere",
                              .pool = "shared",
                              .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/s"}}));
    ASSERT_TRUE(sim_.settle());
    ASSERT_EQ(sim_.check(), "");
  }

  FakeAgent& any_agent() { return *sim_.agents[sim_.choose(sim_.agents.size())]; }

  std::string any_vm() {
    const auto vms = sim_.inventory().all<model::Vm>();
    return vms.empty() ? "none" : vms[sim_.choose(vms.size())]->value.name;
  }

  std::string any_image() {
    const auto images = sim_.inventory().all<model::Image>();
    return images.empty() ? "none" : images[sim_.choose(images.size())]->value.name;
  }

  // Moves of guests that can move now, in a row or at once; what comes between makes many of them impossible.
  void apply_some_plan() {
    auto basis = plan_basis(sim_.commander(), PlanScope::shown);
    Proposal proposal;
    proposal.plan.id = model::PlanId(fmt::format("00000000-0000-4000-8000-{:012}", ++plans_));
    proposal.plan.name = fmt::format("plan{}", plans_);
    for (const auto& guest : basis.cluster.guests) {
      const auto& to = basis.cluster.hosts[sim_.choose(basis.cluster.hosts.size())];
      const auto& from = basis.cluster.hosts[guest.host];
      if (!guest.may_move || to.id == from.id) continue;
      model::PlanAction move{.vm = model::VmId(guest.id),
                             .vm_name = guest.name,
                             .from = model::NodeId(from.id),
                             .from_name = from.name,
                             .to = model::NodeId(to.id),
                             .to_name = to.name};
      if (!proposal.plan.actions.empty() && sim_.chance(0.5)) {
        move.after = {static_cast<std::uint32_t>(proposal.plan.actions.size() - 1)};
      }
      proposal.plan.actions.push_back(std::move(move));
    }
    proposal.basis = std::make_shared<const PlanBasis>(std::move(basis));
    sim_.commander().desk.put(proposal);
    (void)apply_plan(sim_.commander(), sim_.caller(), proposal.plan.name);
  }

  void command() {
    auto& commander = sim_.commander();
    const auto caller = sim_.caller();
    if (only_plans_ && sim_.chance(0.8)) return apply_some_plan();
    switch (sim_.choose(25)) {
      case 0:
      case 1:
      case 2:
        (void)create_vms(commander, caller,
                         {.name = fmt::format("vm{}", sim_.choose(8)),
                          .count = 1 + sim_.choose(2),
                          .image = "golden",
                          .disks = {{}, {.size = Bytes(1_GiB)}},
                          .memory = Bytes(1_GiB),
                          .power = sim_.chance(0.8) ? model::PowerState::running : model::PowerState::stopped});
        break;
      case 16:
        (void)create_vms(commander, caller,
                         {.name = fmt::format("vm{}", sim_.choose(8)),
                          .image = sim_.chance(0.5) ? "everywhere" : "golden",
                          .memory = Bytes(1_GiB),
                          .nics = std::vector<NicRequest>{}});
        break;
      case 17:
      case 18: (void)migrate_vm(commander, caller, any_vm(), {}); break;
      case 19:
      case 20: (void)migrate_image(commander, caller, any_image(), sim_.chance(0.5) ? "shared" : "local"); break;
      case 24: apply_some_plan(); break;
      case 21: (void)flatten_image(commander, caller, any_image()); break;
      case 3: (void)delete_vm(commander, caller, any_vm(), sim_.chance(0.1)); break;
      case 4: (void)power_vm(commander, caller, any_vm(), {.action = PowerAction::start}); break;
      case 5:
        (void)power_vm(commander, caller, any_vm(), {.action = PowerAction::stop, .force = sim_.chance(0.5)});
        break;
      case 6:
        (void)power_vm(commander, caller, any_vm(),
                       {.action = sim_.chance(0.5) ? PowerAction::pause : PowerAction::resume});
        break;
      case 7: (void)power_vm(commander, caller, any_vm(), {.action = PowerAction::reboot}); break;
      case 8:
        (void)update_vm(
            commander, caller, any_vm(),
            {.name = sim_.chance(0.3) ? std::optional<std::string>(fmt::format("vm{}", sim_.choose(8))) : std::nullopt,
             .cpus = 1 + sim_.choose(4)});
        break;
      case 9: (void)add_disk(commander, caller, any_vm(), {.size = Bytes(1_GiB)}); break;
      case 10: (void)remove_disk(commander, caller, any_vm(), fmt::format("disk{}", sim_.choose(4))); break;
      case 11: (void)create_snapshot(commander, caller, any_vm(), "s1"); break;
      case 12:
        (void)(sim_.chance(0.5) ? delete_snapshot(commander, caller, any_vm(), "s1")
                                : rollback_snapshot(commander, caller, any_vm(), "s1"));
        break;
      case 13:
        (void)import_image(commander, caller,
                           {.name = fmt::format("image{}", sim_.choose(3)),
                            .pool = "local",
                            .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/b"}});
        break;
      case 22:
      case 23:
        (void)import_image(commander, caller,
                           {.name = fmt::format("copy{}", sim_.choose(3)),
                            .pool = "second",
                            .source = {.kind = model::ImageSourceKind::image, .location = "everywhere"},
                            .most_nodes = 1 + sim_.choose(3)});
        break;
      case 14: {
        const auto images = sim_.inventory().all<model::Image>();
        if (!images.empty()) (void)delete_image(commander, caller, images[sim_.choose(images.size())]->value.name);
        break;
      }
      default: {
        const auto open = sim_.inventory().open_operations();
        if (!open.empty()) (void)cancel_operation(commander, caller, open[sim_.choose(open.size())]->value.id.str());
      }
    }
  }

  void guest_acts() {
    auto& agent = any_agent();
    if (agent.guests.empty()) return;
    auto guest = agent.guests.begin();
    std::advance(guest, sim_.choose(agent.guests.size()));
    if (sim_.chance(0.2)) {
      agent.lose_guest(guest->first);
    } else {
      agent.change_power(guest->first, sim_.chance(0.5) ? model::PowerState::stopped : model::PowerState::running);
    }
  }

  void step() {
    const auto what = sim_.choose(100);
    if (what < 12) return command();
    if (what < 30) return sim_.pass();
    if (what < 48) return sim_.deliver_to_agent(any_agent(), 0.05, 0.1);
    if (what < 66) return sim_.deliver_to_manager(any_agent(), 0.05, 0.1);
    if (what < 88) return any_agent().work(sim_.choose(8), sim_.chance(0.06));
    if (what < 91) return sim_.advance(std::chrono::milliseconds(100 + sim_.choose(20000)));
    if (what < 95) return sim_.connect(any_agent());
    if (what < 97) return sim_.chance(0.5) ? sim_.disconnect(any_agent()) : sim_.restart_agent(any_agent());
    if (what < 98) return guest_acts();
    if (!sim_.manager_dead()) sim_.kill_manager_after(sim_.choose(6));
  }

  Simulation sim_;
  int plans_ = 0;
  bool only_plans_ = false;
};

std::string history(Simulation& sim) {
  std::string text;
  for (const auto& event : sim.inventory().events_since(0, 0)) {
    if (event.kind != "operation.started")
      text += fmt::format("  {} {}: {}\n", event.revision, event.kind, event.message);
  }
  return text;
}

TEST(Simulation, EverySeedEndsDoneOrUndone) {
  std::uint64_t first = 1;
  std::uint64_t last = 300;
  if (const char* only = std::getenv("BRIDGEHEAD_SIMULATION_SEED")) first = last = std::strtoull(only, nullptr, 10);
  if (const char* seeds = std::getenv("BRIDGEHEAD_SIMULATION_SEEDS")) last = std::strtoull(seeds, nullptr, 10);
  std::uint64_t ended = 0;
  for (auto seed = first; seed <= last; ++seed) {
    Driver driver(seed);
    ASSERT_NO_FATAL_FAILURE(driver.run(600)) << "seed " << seed;
    const bool rests = driver.sim().settle();
    const auto wrong = driver.sim().check();
    ASSERT_TRUE(rests && wrong.empty()) << "seed " << seed << "\n" << wrong << history(driver.sim());
    const auto& metrics = driver.sim().metrics;
    ended += metrics.operations_succeeded + metrics.operations_failed + metrics.operations_cancelled;
  }
  RecordProperty("operations", std::to_string(ended));
  EXPECT_GT(ended, (last - first + 1) * 10);
}

// The same of plans alone: whatever comes between, each ends, as what it says.
TEST(Simulation, EveryPlanEnds) {
  std::uint64_t first = 1;
  std::uint64_t last = 60;
  if (const char* only = std::getenv("BRIDGEHEAD_SIMULATION_SEED")) first = last = std::strtoull(only, nullptr, 10);
  if (const char* seeds = std::getenv("BRIDGEHEAD_SIMULATION_SEEDS")) last = std::strtoull(seeds, nullptr, 10);
  std::map<model::PlanState, std::size_t> plans;
  for (auto seed = first; seed <= last; ++seed) {
    Driver driver(seed, 3);
    ASSERT_NO_FATAL_FAILURE(driver.run(600, 4)) << "seed " << seed;
    const bool rests = driver.sim().settle();
    const auto wrong = driver.sim().check();
    ASSERT_TRUE(rests && wrong.empty()) << "seed " << seed << "\n" << wrong << history(driver.sim());
    for (const auto& record : driver.sim().inventory().all<model::Plan>()) {
      const auto& plan = record->value;
      ++plans[plan.state];
      ASSERT_NE(plan.state, model::PlanState::applying) << "seed " << seed << ": " << plan.name;
      for (const auto& action : plan.actions) {
        ASSERT_NE(action.state, model::PlanActionState::waiting) << "seed " << seed << ": " << plan.name;
        ASSERT_NE(action.state, model::PlanActionState::running) << "seed " << seed << ": " << plan.name;
      }
    }
  }
  if (last - first < 20) return;
  EXPECT_GT(plans[model::PlanState::applied], 0u);
  EXPECT_GT(plans[model::PlanState::failed], 0u);
  EXPECT_GT(plans[model::PlanState::superseded] + plans[model::PlanState::cancelled], 0u);
}

// One scenario at a time, without chance: the manager is killed at every commit, and the agent's stream is cut (with
// all that is on its way) after every one of its steps, each in a run of its own.
struct Scenario {
  const char* name;
  std::function<bool(Simulation&)> command;
  std::size_t nodes = 1;
};

void walk(const Scenario& scenario, std::optional<std::size_t> kill_at, std::optional<int> cut_at, int* steps) {
  Driver driver(3, scenario.nodes);
  auto& sim = driver.sim();
  ASSERT_NO_FATAL_FAILURE(driver.run(0));
  ASSERT_TRUE(create_vms(sim.commander(), sim.caller(), {.name = "old", .image = "golden", .memory = Bytes(1_GiB)}));
  ASSERT_TRUE(
      create_vms(sim.commander(), sim.caller(),
                 {.name = "mobile", .image = "everywhere", .memory = Bytes(1_GiB), .nics = std::vector<NicRequest>{}}));
  ASSERT_TRUE(
      create_vms(sim.commander(), sim.caller(),
                 {.name = "laden", .image = "golden", .memory = Bytes(1_GiB), .nics = std::vector<NicRequest>{}}));
  ASSERT_TRUE(sim.settle());
  if (kill_at) sim.kill_manager_after(*kill_at);
  const bool accepted = scenario.command(sim);
  ASSERT_TRUE(accepted || sim.manager_dead()) << scenario.name;
  int step = 0;
  for (int i = 0; i < 40; ++i) {
    sim.pass();
    for (auto& agent : sim.agents) {
      if (cut_at && step == *cut_at) {
        sim.disconnect(*agent);
        sim.connect(*agent);
      }
      sim.deliver_to_agent(*agent, 0, 0);
      if (agent->busy()) ++step;
      agent->work(0, false);
      sim.deliver_to_manager(*agent, 0, 0);
    }
    if (sim.manager_dead()) sim.start_manager();
  }
  if (steps != nullptr) *steps = step;
  EXPECT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "") << scenario.name << " kill " << (kill_at ? static_cast<int>(*kill_at) : -1) << " cut "
                             << cut_at.value_or(-1);
}

// A plan that moves "mobile" to the other node.
std::string propose_move(Simulation& sim) {
  const auto& vm = sim.inventory().find_by_name<model::Vm>("mobile")->value;
  Proposal proposal;
  proposal.plan.id = model::PlanId("00000000-0000-4000-8000-000000000001");
  proposal.plan.name = "moves";
  model::PlanAction move{.vm = vm.id, .vm_name = vm.name, .from = vm.node};
  for (const auto& node : sim.inventory().all<model::Node>()) {
    (node->value.id == vm.node ? move.from_name : move.to_name) = node->value.name;
    if (node->value.id != vm.node) move.to = node->value.id;
  }
  proposal.plan.actions.push_back(std::move(move));
  proposal.basis = std::make_shared<const PlanBasis>(plan_basis(sim.commander(), PlanScope::shown));
  sim.commander().desk.put(proposal);
  return proposal.plan.name;
}

TEST(Simulation, EveryStepOfEveryOperationCanBeTheLast) {
  const Scenario scenarios[] = {
      {"create",
       [](Simulation& s) {
         return create_vms(
                    s.commander(), s.caller(),
                    {.name = "new", .image = "golden", .disks = {{}, {.size = Bytes(1_GiB)}}, .memory = Bytes(1_GiB)})
             .has_value();
       }},
      {"create and cancel",
       [](Simulation& s) {
         const auto made =
             create_vms(s.commander(), s.caller(), {.name = "new", .image = "golden", .memory = Bytes(1_GiB)});
         if (!made) return false;
         s.pass();
         return cancel_operation(s.commander(), s.caller(), made->operations[0].id.str()).has_value();
       }},
      {"create and delete",
       [](Simulation& s) {
         if (!create_vms(s.commander(), s.caller(), {.name = "new", .image = "golden", .memory = Bytes(1_GiB)}))
           return false;
         s.pass();
         return delete_vm(s.commander(), s.caller(), "new", false).has_value();
       }},
      {"delete", [](Simulation& s) { return delete_vm(s.commander(), s.caller(), "old", false).has_value(); }},
      {"keep disks", [](Simulation& s) { return delete_vm(s.commander(), s.caller(), "old", true).has_value(); }},
      {"stop",
       [](Simulation& s) {
         return power_vm(s.commander(), s.caller(), "old", {.action = PowerAction::stop}).has_value();
       }},
      {"resize", [](Simulation& s) { return update_vm(s.commander(), s.caller(), "old", {.cpus = 4}).has_value(); }},
      {"add disk",
       [](Simulation& s) { return add_disk(s.commander(), s.caller(), "old", {.size = Bytes(1_GiB)}).has_value(); }},
      {"remove disk", [](Simulation& s) { return remove_disk(s.commander(), s.caller(), "old", "disk0").has_value(); }},
      {"snapshot", [](Simulation& s) { return create_snapshot(s.commander(), s.caller(), "old", "s1").has_value(); }},
      {"import",
       [](Simulation& s) {
         return import_image(s.commander(), s.caller(),
                             {.name = "other",
                              .pool = "local",
                              .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/c"}})
             .has_value();
       }},
      {"migrate", [](Simulation& s) { return migrate_vm(s.commander(), s.caller(), "mobile", {}).has_value(); }, 2},
      {"migrate and cancel",
       [](Simulation& s) {
         const auto asked = migrate_vm(s.commander(), s.caller(), "mobile", {});
         if (!asked) return false;
         for (int i = 0; i < 4; ++i) s.pass();
         return cancel_operation(s.commander(), s.caller(), asked->operation.id.str()).has_value();
       },
       2},
      {"migrate with disks",
       [](Simulation& s) { return migrate_vm(s.commander(), s.caller(), "laden", {}).has_value(); }, 2},
      {"migrate with disks and cancel",
       [](Simulation& s) {
         const auto asked = migrate_vm(s.commander(), s.caller(), "laden", {});
         if (!asked) return false;
         for (int i = 0; i < 4; ++i) s.pass();
         return cancel_operation(s.commander(), s.caller(), asked->operation.id.str()).has_value();
       },
       2},
      {"migrate with disks and delete",
       [](Simulation& s) {
         if (!migrate_vm(s.commander(), s.caller(), "laden", {})) return false;
         s.pass();
         return delete_vm(s.commander(), s.caller(), "laden", false).has_value();
       },
       2},
      {"migrate disk",
       [](Simulation& s) { return migrate_image(s.commander(), s.caller(), "old-disk0", "shared").has_value(); }},
      {"migrate disk and cancel",
       [](Simulation& s) {
         const auto asked = migrate_image(s.commander(), s.caller(), "mobile-disk0", "local");
         if (!asked) return false;
         for (int i = 0; i < 4; ++i) s.pass();
         return cancel_operation(s.commander(), s.caller(), asked->operation.id.str()).has_value();
       }},
      {"migrate disk and delete",
       [](Simulation& s) {
         if (!migrate_image(s.commander(), s.caller(), "old-disk0", "shared")) return false;
         s.pass();
         return delete_vm(s.commander(), s.caller(), "old", false).has_value();
       }},
      {"flatten", [](Simulation& s) { return flatten_image(s.commander(), s.caller(), "old-disk0").has_value(); }},
      {"plan", [](Simulation& s) { return apply_plan(s.commander(), s.caller(), propose_move(s)).has_value(); }, 2},
      {"plan and cancel",
       [](Simulation& s) {
         const auto name = propose_move(s);
         if (!apply_plan(s.commander(), s.caller(), name)) return false;
         for (int i = 0; i < 4; ++i) s.pass();
         return cancel_plan(s.commander(), s.caller(), name).has_value();
       },
       2},
      {"network", [](Simulation& s) { return create_network(s.commander(), s.caller(), {.name = "n2"}).has_value(); }},
  };
  for (const auto& scenario : scenarios) {
    for (std::size_t kill = 0; kill < 9; ++kill) {
      walk(scenario, kill, {}, nullptr);
      if (HasFatalFailure()) return;
    }
    int steps = 0;
    walk(scenario, {}, {}, &steps);
    for (int cut = 0; cut <= steps; ++cut) {
      walk(scenario, {}, cut, nullptr);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace bridgehead::reconcile
