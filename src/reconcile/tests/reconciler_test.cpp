// The thread around the core: woken by commits, quick, and silent when there is nothing to do.
#include "reconcile/reconciler.h"

#include <gtest/gtest.h>

#include <iostream>

#include "reconcile/commands/commands.h"
#include "reconcile/testing/fake_agent_port.h"
#include "state/memory_store.h"

namespace bridgehead::reconcile {
namespace {

using Sent = testing::FakeAgentPort::Sent;

class ReconcilerTest : public ::testing::Test {
 protected:
  ReconcilerTest() : random(5), store(state::make_memory_store()) {
    auto opened = state::Inventory::open(*store, clock);
    EXPECT_TRUE(opened);
    inventory = std::move(*opened);
    commander = std::unique_ptr<Commander>(new Commander{.inventory = *inventory, .random = random, .clock = clock});
    reconciler = std::make_unique<Reconciler>(*inventory, port, clock, random);
    reconciler->start();
  }
  ~ReconcilerTest() override { reconciler->stop(); }

  model::NodeId add_node(const std::string& name) {
    model::Node node;
    node.id = make_id<model::NodeId>(random);
    node.name = name;
    auto edit = inventory->edit();
    edit.create(node);
    EXPECT_TRUE(inventory->commit(std::move(edit)));
    return node.id;
  }
  model::NodeReport report() const {
    model::NodeReport report;
    report.facts.cpus = 64;
    report.facts.memory = Bytes(256_GiB);
    for (const auto& pool : inventory->all<model::Pool>()) {
      report.pools[pool->value.id] = {.ready = true, .total = Bytes(1_TiB), .available = Bytes(1_TiB)};
    }
    return report;
  }
  // Until the condition holds; looks again whenever something is committed.
  template <typename Condition>
  bool eventually(Condition condition) {
    std::mutex mutex;
    std::condition_variable changed;
    const auto watch = inventory->listen([&](auto, const auto&) {
      const std::lock_guard lock(mutex);
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (changed.wait_until(lock, until) == std::cv_status::timeout) return condition();
    }
    return true;
  }
  // The next assignment sent.
  std::optional<Sent> next_assignment() {
    while (port.wait(std::chrono::seconds(30))) {
      for (auto& sent : port.take()) {
        if (sent.what == Sent::What::assign) return sent;
      }
    }
    return {};
  }
  Caller caller() const { return {.actor = "test"}; }

  SystemClock clock;
  SeededRandom random;
  std::unique_ptr<state::StateStore> store;
  std::unique_ptr<state::Inventory> inventory;
  std::unique_ptr<Commander> commander;
  testing::FakeAgentPort port;
  std::unique_ptr<Reconciler> reconciler;
};

TEST_F(ReconcilerTest, ANodeIsReadyWithItsSecretFilesOnly) {
  const auto id = add_node("n1");
  const auto change = [&](auto how) {
    const auto record = inventory->find<model::Node>(id);
    auto node = record->value;
    how(node);
    auto edit = inventory->edit();
    edit.update(record, node);
    ASSERT_TRUE(inventory->commit(std::move(edit)));
  };
  change([](model::Node& node) {
    node.netboot = model::Netboot{.approval = model::Approval::approved};
    node.netboot->secret_files = {{.path = "/etc/key", .sealed = "x"}};
  });
  const auto is = [&](model::NodeState state, const std::string& message) {
    return eventually([&] {
      const auto node = inventory->find<model::Node>(id);
      return node->value.state == state && node->value.message == message;
    });
  };
  port.connect(id);
  auto said = report();
  reconciler->on_report(id, said);
  EXPECT_TRUE(is(model::NodeState::not_ready, "it waits for its secret files"));
  said.secrets = {.digest = "d1"};
  reconciler->on_report(id, said);
  EXPECT_TRUE(is(model::NodeState::ready, ""));
  said.secrets = {.digest = "", .message = "write /etc/key: no space"};
  reconciler->on_report(id, said);
  EXPECT_TRUE(is(model::NodeState::not_ready, "its secret files: write /etc/key: no space"));
}

TEST_F(ReconcilerTest, CarriesAPoolAndAnImportThroughAndCountsThem) {
  const auto node = add_node("n1");
  port.connect(node);
  reconciler->on_report(node, report());
  ASSERT_TRUE(eventually([&] { return inventory->find<model::Node>(node)->value.state == model::NodeState::ready; }));

  const auto pool = add_pool(*commander, caller(), {.name = "local", .path = "/var/pool"});
  ASSERT_TRUE(pool);
  auto sent = next_assignment();
  ASSERT_TRUE(sent);
  ASSERT_TRUE(std::holds_alternative<model::EnsurePool>(sent->assignment.body));
  reconciler->on_assignment_report(node, {.operation = sent->operation, .state = model::AssignmentState::succeeded});
  const auto state_of = [&](const model::OperationId& id) {
    return inventory->find<model::Operation>(id)->value.state;
  };
  ASSERT_TRUE(eventually([&] { return state_of(pool->operation.id) == model::OperationState::succeeded; }));
  // Not before: to a node that reports anew, what it has not ended is sent again.
  reconciler->on_report(node, report());
  ASSERT_TRUE(eventually([&] { return inventory->find<model::Pool>(pool->object.id)->value.nodes.contains(node); }));

  std::optional<Progress> heard;
  std::mutex mutex;
  const auto listening = reconciler->progress().listen([&](const model::Operation& operation) {
    const std::lock_guard lock(mutex);
    heard = operation.progress;
  });
  const auto import =
      import_image(*commander, caller(),
                   {.name = "debian",
                    .pool = "local",
                    .source = {.kind = model::ImageSourceKind::url, .location = "http://example.org/x"}});
  ASSERT_TRUE(import);
  sent = next_assignment();
  ASSERT_TRUE(sent);
  model::AssignmentReport running{.operation = sent->operation,
                                  .progress = {.phase = "download", .done = 5, .total = 10}};
  reconciler->on_assignment_report(node, running);
  auto image = std::get<model::ImportImage>(sent->assignment.body).image;
  image.virtual_size = Bytes(2_GiB);
  reconciler->on_assignment_report(
      node, {.operation = sent->operation, .state = model::AssignmentState::succeeded, .images = {image}});
  ASSERT_TRUE(eventually([&] { return state_of(import->operation.id) == model::OperationState::succeeded; }));
  EXPECT_EQ(inventory->find_by_name<model::Image>("debian")->value.virtual_size, 2_GiB);
  reconciler->stop();
  const std::lock_guard lock(mutex);
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->done, 5u);
  EXPECT_EQ(reconciler->metrics().operations_succeeded, 2u);
  EXPECT_EQ(reconciler->metrics().assignments_sent, 2u);
}

TEST_F(ReconcilerTest, WhatWaitsForADeadNodeGoesOnAtOnceWhereItsGuestIsRestarted) {
  const auto dead = add_node("dead");
  const auto alive = add_node("alive");
  port.connect(alive);
  reconciler->on_report(alive, report());
  ASSERT_TRUE(eventually([&] { return inventory->find<model::Node>(alive)->value.state == model::NodeState::ready; }));
  model::Vm vm{.id = make_id<model::VmId>(random), .name = "web", .node = dead, .lease = 1};
  vm.spec.memory = Bytes(1_GiB);
  const auto operation = [&](std::string_view kind) {
    return model::Operation{.id = make_id<model::OperationId>(random),
                            .kind = std::string(kind),
                            .target_kind = "vm",
                            .target = vm.id.str(),
                            .target_name = vm.name,
                            .generation = vm.generation,
                            .created = clock.now()};
  };
  auto edit = inventory->edit();
  edit.create(vm).create(operation(model::operation_kind::vm_update));
  ASSERT_TRUE(inventory->commit(std::move(edit)));
  // Until it has been looked at, and waits.
  for (std::uint64_t passes = 0, before = 1; passes != before;) {
    before = passes;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    passes = reconciler->metrics().passes.load();
  }

  const auto began = std::chrono::steady_clock::now();
  const auto record = inventory->find<model::Vm>(vm.id);
  vm = record->value;
  vm.node = alive;
  vm.lease = 2;
  edit = inventory->edit();
  edit.update(record, vm).create(operation(model::operation_kind::vm_restart));
  ASSERT_TRUE(inventory->commit(std::move(edit)));
  const auto sent = next_assignment();
  ASSERT_TRUE(sent);
  EXPECT_TRUE(std::holds_alternative<model::EnsureVm>(sent->assignment.body));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(15)) << "not by the sweep each 30 s";
}

TEST_F(ReconcilerTest, StopsQuicklyAndTwice) {
  reconciler->stop();
  reconciler->stop();
}

// 2,000 nodes and 20,000 guests: the time from a commit to its assignment must not grow with the cluster, and an idle
// cluster must cost nothing.
TEST_F(ReconcilerTest, StaysQuickInALargeCluster) {
  std::vector<model::NodeId> nodes;
  auto edit = inventory->edit();
  for (int i = 0; i < 2000; ++i) {
    model::Node node;
    node.id = make_id<model::NodeId>(random);
    node.name = fmt::format("node{}", i);
    node.facts.cpus = 64;
    node.facts.memory = Bytes(256_GiB);
    nodes.push_back(node.id);
    edit.create(node);
  }
  std::vector<model::VmId> vms;
  for (int i = 0; i < 20000; ++i) {
    model::Vm vm;
    vm.id = make_id<model::VmId>(random);
    vm.name = fmt::format("vm{}", i);
    vm.spec.memory = Bytes(1_GiB);
    vm.node = nodes[static_cast<std::size_t>(i) % nodes.size()];
    vm.lease = static_cast<std::uint64_t>(i) + 1;
    vm.status.phase = model::VmPhase::running;
    vm.status.observed_generation = 1;
    vms.push_back(vm.id);
    edit.create(vm);
  }
  ASSERT_TRUE(inventory->commit(std::move(edit)));
  for (const auto& node : nodes) {
    port.connect(node);
    auto full = report();
    for (const auto& vm : inventory->vms_on_node(node)) {
      model::ObservedVm seen{.vm = vm->value.id, .generation = 1, .lease = vm->value.lease};
      seen.status.phase = model::VmPhase::running;
      full.vms.push_back(std::move(seen));
    }
    reconciler->on_report(node, std::move(full));
  }
  ASSERT_TRUE(eventually([&] {
    return inventory->find<model::Node>(nodes.front())->value.state == model::NodeState::ready &&
           inventory->find<model::Node>(nodes.back())->value.state == model::NodeState::ready;
  }));
  (void)port.take();

  std::vector<std::chrono::microseconds> times;
  for (std::size_t i = 0; i < 50; ++i) {
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(power_vm(*commander, caller(), vms[i * 7].str(), {.action = PowerAction::reboot}));
    ASSERT_TRUE(next_assignment());
    times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began));
  }
  std::sort(times.begin(), times.end());
  std::cout << "commit to assignment: shortest " << times.front().count() << " us, median "
            << times[times.size() / 2].count() << " us, longest " << times.back().count() << " us\n";
  RecordProperty("median_microseconds", std::to_string(times[times.size() / 2].count()));
  // Half a millisecond. The shortest is what it takes where nothing else comes between; the bound catches work per
  // inventory size.
  EXPECT_LT(times.front(), std::chrono::milliseconds(20));

  const auto passes = reconciler->metrics().passes.load();
  for (int beat = 0; beat < 5; ++beat) {
    for (const auto& node : nodes) reconciler->on_heartbeat(node, {});
  }
  EXPECT_LE(reconciler->metrics().passes.load() - passes, 5u) << "heartbeats wake nobody";
}

}  // namespace
}  // namespace bridgehead::reconcile
