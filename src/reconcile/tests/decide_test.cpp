#include "reconcile/decide.h"

#include <gtest/gtest.h>

#include "model/json.h"
#include "reconcile/operations/logic.h"
#include "reconcile/testing/simulation.h"

namespace bridgehead::reconcile {
namespace {

using testing::Simulation;

TEST(UndoId, IsDerivedAndLeadsBack) {
  SeededRandom random(1);
  const auto id = make_id<model::OperationId>(random);
  const auto undo = operations::undo_id(id);
  EXPECT_NE(undo, id);
  EXPECT_TRUE(is_uuid(undo.str()));
  EXPECT_EQ(operations::operation_of(undo), id);
  EXPECT_EQ(operations::operation_of(id), id);
}

TEST(Operations, EveryKindIsKnown) {
  for (const char* kind : {"vm.create",     "vm.update",          "vm.start",           "vm.stop",
                           "vm.reboot",     "vm.pause",           "vm.resume",          "vm.delete",
                           "vm.migrate",    "vm.clear",           "vm.snapshot.create", "vm.snapshot.rollback",
                           "vm.restart",    "vm.snapshot.delete", "image.import",       "image.clear",
                           "image.delete",  "pool.add",           "pool.remove",        "network.create",
                           "network.delete"}) {
    const auto* logic = operations::logic_of(kind);
    ASSERT_NE(logic, nullptr) << kind;
    EXPECT_EQ(logic->kind, kind);
  }
  EXPECT_EQ(operations::logic_of("vm.fly"), nullptr);
}

// A cluster of one node with a pool and a golden image, where nothing happens unless a test lets it.
class Reconcile : public ::testing::Test {
 protected:
  Reconcile() : sim(7, 1), agent(*sim.agents[0]) {
    sim.connect(agent);
    sim.pass();
    EXPECT_TRUE(add_pool(sim.commander(), sim.caller(), {.name = "local", .path = "/var/pool"}));
    EXPECT_TRUE(sim.settle());
    EXPECT_TRUE(import_image(sim.commander(), sim.caller(), source("golden")));
    EXPECT_TRUE(create_network(sim.commander(), sim.caller(), {.name = "default"}));
    EXPECT_TRUE(sim.settle());
  }

  static ImportImage source(std::string name) {
    return {.name = std::move(name),
            .pool = "local",
            .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/a"}};
  }
  static CreateVms vm(std::string name) { return {.name = std::move(name), .image = "golden"}; }

  model::Operation create(std::string name) {
    auto made = create_vms(sim.commander(), sim.caller(), vm(std::move(name)));
    EXPECT_TRUE(made) << made.error().describe();
    return made->operations.at(0);
  }
  model::Operation now(const model::Operation& operation) {
    return sim.inventory().find<model::Operation>(operation.id)->value;
  }
  model::Vm vm_now(const std::string& name) { return sim.inventory().find_by_name<model::Vm>(name)->value; }
  // One exchange: a pass, what is on its way down, one step of work, what is on its way up.
  void exchange(bool fails = false) {
    sim.pass();
    for (int i = 0; i < 8; ++i) sim.deliver_to_agent(agent, 0, 0);
    if (agent.busy()) agent.work(0, fails);
    for (int i = 0; i < 8; ++i) sim.deliver_to_manager(agent, 0, 0);
    sim.pass();
  }

  Simulation sim;
  testing::FakeAgent& agent;
};

TEST_F(Reconcile, CreatesAGuestWithLeaseAndReadyDisk) {
  const auto operation = create("web");
  EXPECT_EQ(vm_now("web").lease, 0u);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(now(operation).state, model::OperationState::succeeded);
  const auto web = vm_now("web");
  EXPECT_EQ(web.node, agent.id);
  EXPECT_GT(web.lease, 0u);
  EXPECT_EQ(web.status.phase, model::VmPhase::running);
  EXPECT_EQ(web.status.observed_generation, web.generation);
  const auto disk = sim.inventory().find<model::Image>(web.spec.disks.at(0).image);
  EXPECT_EQ(disk->value.state, model::ImageState::ready);
  EXPECT_EQ(disk->value.format, model::ImageFormat::qcow2);
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Reconcile, AFailedCreateLeavesNothingAndFreesTheName) {
  const auto operation = create("web");
  exchange();      // sent, first disk made
  exchange(true);  // and then it fails
  EXPECT_FALSE(agent.disks.empty());
  EXPECT_FALSE(now(operation).terminal()) << "it ends only when all is cleaned up";
  EXPECT_TRUE(vm_now("web").deleting);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(now(operation).state, model::OperationState::failed);
  EXPECT_EQ(now(operation).error->message, "the simulated host had a bad day");
  EXPECT_EQ(sim.inventory().find_by_name<model::Vm>("web"), nullptr);
  EXPECT_EQ(sim.check(), "");
  create("web");
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::running);
}

TEST_F(Reconcile, ACreateCancelledBeforeItWasSentReachesNoNode) {
  const auto operation = create("web");
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), operation.id.str()));
  sim.pass();
  EXPECT_EQ(now(operation).state, model::OperationState::cancelled);
  EXPECT_EQ(sim.inventory().find_by_name<model::Vm>("web"), nullptr);
  EXPECT_TRUE(agent.journal.empty());
}

TEST_F(Reconcile, OperationsOfOneGuestRunInOrder) {
  create("web");
  ASSERT_TRUE(sim.settle());
  const auto first = power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::stop});
  sim.advance(std::chrono::milliseconds(1));
  const auto second = power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::start});
  ASSERT_TRUE(first && second);
  sim.pass();
  EXPECT_EQ(now(first->operation).state, model::OperationState::running);
  EXPECT_EQ(now(second->operation).state, model::OperationState::pending);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(now(second->operation).state, model::OperationState::succeeded);
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::running);
}

TEST_F(Reconcile, AForcedStopOvertakesAGraciousOne) {
  create("web");
  ASSERT_TRUE(sim.settle());
  const auto gracious = power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::stop});
  sim.pass();
  for (int i = 0; i < 4; ++i) sim.deliver_to_agent(agent, 0, 0);
  ASSERT_FALSE(agent.journal.empty());
  sim.advance(std::chrono::milliseconds(1));
  const auto forced = power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::stop, .force = true});
  ASSERT_TRUE(forced);
  sim.pass();
  for (int i = 0; i < 4; ++i) sim.deliver_to_agent(agent, 0, 0);
  EXPECT_TRUE(agent.journal.at(gracious->operation.id).cancel);
  exchange();
  sim.pass();
  for (int i = 0; i < 4; ++i) sim.deliver_to_agent(agent, 0, 0);
  const auto& sent = std::get<model::EnsureVm>(agent.journal.at(forced->operation.id).assignment.body);
  EXPECT_TRUE(sent.force_stop);
  EXPECT_EQ(sent.vm.spec.power, model::PowerState::stopped);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(vm_now("web").spec.power, model::PowerState::stopped);
}

TEST_F(Reconcile, AFailedStartTakesTheWishBack) {
  create("web");
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::stop}));
  ASSERT_TRUE(sim.settle());
  const auto start = power_vm(sim.commander(), sim.caller(), "web", {.action = PowerAction::start});
  ASSERT_TRUE(start);
  exchange(true);
  EXPECT_EQ(now(start->operation).state, model::OperationState::failed);
  EXPECT_EQ(vm_now("web").spec.power, model::PowerState::stopped);
}

TEST_F(Reconcile, AFailedDiskIsTakenBackAndDeleted) {
  create("web");
  ASSERT_TRUE(sim.settle());
  const auto add = add_disk(sim.commander(), sim.caller(), "web", {.size = Bytes(1_GiB)});
  ASSERT_TRUE(add);
  EXPECT_EQ(vm_now("web").spec.disks.size(), 2u);
  exchange(true);
  EXPECT_EQ(vm_now("web").spec.disks.size(), 1u);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(now(add->operation).state, model::OperationState::failed);
  EXPECT_EQ(sim.inventory().images_of_vm(vm_now("web").id).size(), 1u);
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Reconcile, ADeletionWaitsForItsNodeAndCanBeCancelledUntilThen) {
  create("web");
  ASSERT_TRUE(sim.settle());
  sim.disconnect(agent);
  sim.pass();
  const auto deletion = delete_vm(sim.commander(), sim.caller(), "web", false);
  ASSERT_TRUE(deletion);
  sim.pass();
  EXPECT_EQ(now(deletion->operation).state, model::OperationState::pending);
  EXPECT_EQ(now(deletion->operation).progress.phase, "waiting for node 'node0', whose agent isn't connected");
  const auto again = delete_vm(sim.commander(), sim.caller(), "web", false);
  EXPECT_EQ(again->operation.id, deletion->operation.id);
  ASSERT_TRUE(cancel_operation(sim.commander(), sim.caller(), deletion->operation.id.str()));
  sim.pass();
  EXPECT_EQ(now(deletion->operation).state, model::OperationState::cancelled);
  EXPECT_FALSE(vm_now("web").deleting);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Reconcile, AnUploadThatNeverComesIsGivenUp) {
  auto request = source("big");
  request.source = {.kind = model::ImageSourceKind::upload};
  const auto import = import_image(sim.commander(), sim.caller(), request);
  ASSERT_TRUE(import);
  sim.pass();
  for (int i = 0; i < 4; ++i) sim.deliver_to_agent(agent, 0, 0);
  for (int minute = 0; minute < 9; ++minute) {
    sim.advance(std::chrono::minutes(1));
    sim.pass();
  }
  EXPECT_FALSE(now(import->operation).cancel_requested);
  sim.advance(std::chrono::minutes(2));
  sim.pass();
  EXPECT_TRUE(now(import->operation).cancel_requested);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(now(import->operation).state, model::OperationState::failed);
  EXPECT_EQ(now(import->operation).error->code, ErrorCode::timeout);
  EXPECT_EQ(sim.inventory().find_by_name<model::Image>("big"), nullptr);
}

TEST_F(Reconcile, OnlySoManyImportsRunOnANodeAtOnce) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(import_image(sim.commander(), sim.caller(), source(fmt::format("i{}", i))));
  sim.pass();
  int running = 0;
  for (const auto& open : sim.inventory().open_operations())
    running += open->value.state == model::OperationState::running;
  EXPECT_EQ(running, 2);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Reconcile, APowerOffFromInsideIsAdopted) {
  create("web");
  ASSERT_TRUE(sim.settle());
  agent.change_power(vm_now("web").id, model::PowerState::stopped);
  exchange();
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::stopped);
  EXPECT_EQ(vm_now("web").spec.power, model::PowerState::stopped);
  EXPECT_TRUE(sim.inventory().open_operations().empty());
}

TEST_F(Reconcile, AVanishedGuestIsMadeAgain) {
  create("web");
  ASSERT_TRUE(sim.settle());
  agent.lose_guest(vm_now("web").id);
  exchange();
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::failed);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::running);
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Reconcile, AStrangersGuestIsLeftAloneAndReported) {
  SeededRandom random(99);
  const auto stranger = make_id<model::VmId>(random);
  agent.guests[stranger] = {.generation = 1, .lease = 1, .power = model::PowerState::running, .snapshots = {}};
  sim.connect(agent);
  sim.pass();
  sim.pass();
  EXPECT_TRUE(sim.inventory().open_operations().empty());
  EXPECT_TRUE(agent.guests.contains(stranger));
  const auto node = sim.inventory().find<model::Node>(agent.id);
  EXPECT_EQ(node->value.state, model::NodeState::ready);
  EXPECT_NE(node->value.message.find("1 guest here is unknown"), std::string::npos) << node->value.message;
}

TEST_F(Reconcile, AGuestThatWeDeletedIsDeletedAgainWhenItComesBack) {
  create("web");
  ASSERT_TRUE(sim.settle());
  const auto id = vm_now("web").id;
  const auto disk = vm_now("web").spec.disks.at(0).image;
  ASSERT_TRUE(delete_vm(sim.commander(), sim.caller(), "web", false));
  ASSERT_TRUE(sim.settle());
  agent.guests[id] = {.generation = 1, .lease = 1, .power = model::PowerState::running, .snapshots = {}};
  agent.disks.insert(disk);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(sim.check(), "");
}

TEST_F(Reconcile, GuestsOfASilentNodeAreUnknown) {
  create("web");
  ASSERT_TRUE(sim.settle());
  sim.disconnect(agent);
  sim.pass();
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::running) << "a short break is no news";
  for (int i = 0; i < 5; ++i) {
    sim.advance(std::chrono::seconds(5));
    sim.pass();
  }
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::unknown);
  EXPECT_EQ(vm_now("web").status.message, "node 'node0' can't be reached");
  EXPECT_EQ(sim.inventory().find<model::Node>(agent.id)->value.state, model::NodeState::unreachable);
  ASSERT_TRUE(sim.settle());
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::running);
  EXPECT_EQ(sim.inventory().find<model::Node>(agent.id)->value.state, model::NodeState::ready);
}

TEST_F(Reconcile, GuestsAreStartedAgainAfterTheirNodesRestart) {
  create("web");
  create("quiet");
  ASSERT_TRUE(sim.settle());
  ASSERT_TRUE(update_vm(sim.commander(), sim.caller(), "quiet", {.autostart = false}));
  ASSERT_TRUE(sim.settle());
  for (int i = 0; i < 10; ++i) {  // in between nobody knows how they are
    sim.advance(std::chrono::minutes(6));
    sim.pass();
  }
  EXPECT_EQ(vm_now("web").status.phase, model::VmPhase::unknown);
  const Moment moment{.inventory = sim.inventory(), .random = sim.commander().random, .now = sim.clock.now()};
  const Circumstances report{.whole_report = true, .booted = sim.clock.now() - std::chrono::minutes(1)};
  const auto seen = [&](const std::string& name) {
    const auto vm = vm_now(name);
    model::ObservedVm observed{.vm = vm.id, .generation = vm.generation, .lease = vm.lease};
    observed.status.phase = model::VmPhase::stopped;
    auto edit = sim.inventory().edit();
    observe_vm(moment, agent.id, observed, report).changes.apply(edit);
    EXPECT_TRUE(sim.inventory().commit(std::move(edit)));
  };
  seen("web");
  seen("quiet");
  const auto open = sim.inventory().open_operations();
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0]->value.kind, "vm.start");
  EXPECT_EQ(open[0]->value.target_name, "web");
  EXPECT_EQ(vm_now("quiet").spec.power, model::PowerState::stopped);
}

}  // namespace
}  // namespace bridgehead::reconcile
