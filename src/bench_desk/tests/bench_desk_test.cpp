// The desk with agents that are a few lines here: what operations come to, what is kept, and what is left in pools.
#include "bench_desk/bench_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ids.h"
#include "load/client.h"
#include "reconcile/commands/benchmarks.h"
#include "state/memory_store.h"

namespace bridgehead::bench_desk {
namespace {

using load::ClientOrder;
using model::BenchmarkState;
using model::OperationState;
using ::testing::HasSubstr;

// Each order is answered on a thread of its own, as a node would: after `takes`, or never while it is `hung`.
class FakeAgents final : public reconcile::AgentPort, public reconcile::TunnelBroker {
 public:
  struct Talk {
    reconcile::TunnelHandlers handlers;
    std::atomic<bool> over = false;
    void end(Status result) {
      if (!over.exchange(true)) handlers.closed(std::move(result));
    }
  };
  class End final : public reconcile::Tunnel {
   public:
    explicit End(std::shared_ptr<Talk> talk) : talk_(std::move(talk)) {}
    void write(std::string, std::function<void()>) override {}
    void resize(std::uint32_t, std::uint32_t) override {}
    void finish() override {}
    void close(std::string) override { talk_->end(fail(ErrorCode::cancelled, "closed")); }
    void resume() override {}

   private:
    std::shared_ptr<Talk> talk_;
  };

  ~FakeAgents() override { threads_.clear(); }
  bool connected(const model::NodeId& node) const override {
    const std::lock_guard lock(mutex_);
    return !away_.contains(node);
  }
  bool assign(const model::NodeId&, const model::Assignment&) override { return true; }
  bool cancel(const model::NodeId&, const model::OperationId&) override { return true; }
  bool acknowledge(const model::NodeId&, const model::OperationId&) override { return true; }
  Result<std::shared_ptr<reconcile::Tunnel>> open(const model::NodeId& node, const reconcile::TunnelRequest& request,
                                                  reconcile::TunnelHandlers handlers) override {
    const std::lock_guard lock(mutex_);
    if (away_.contains(node)) return fail(ErrorCode::unavailable, "the node's agent is not connected");
    const auto order = load::read_order(request.bench_order);
    EXPECT_EQ(request.kind, reconcile::TunnelKind::bench);
    EXPECT_TRUE(order) << request.bench_order;
    asked_.push_back(*order);
    auto talk = std::make_shared<Talk>();
    talk->handlers = std::move(handlers);
    threads_.emplace_back([this, talk, node, order = *order](const std::stop_token& stop) {
      talk->handlers.opened();
      while (order.action == ClientOrder::Action::run && hung && !stop.stop_requested() && !talk->over) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      talk->handlers.data(load::write_answer(answer(order)));
      talk->end({});
    });
    return std::shared_ptr<reconcile::Tunnel>(std::make_shared<End>(talk));
  }
  void leave(const model::NodeId& node) {
    const std::lock_guard lock(mutex_);
    away_.insert(node);
  }
  void come_back() {
    const std::lock_guard lock(mutex_);
    away_.clear();
  }
  std::vector<ClientOrder> asked(ClientOrder::Action action) const {
    const std::lock_guard lock(mutex_);
    std::vector<ClientOrder> all;
    std::copy_if(asked_.begin(), asked_.end(), std::back_inserter(all),
                 [&](const auto& order) { return order.action == action; });
    return all;
  }

  std::atomic<bool> hung = false;
  std::optional<Error> facts_fail;  // set before it is asked

 private:
  Result<load::ClientAnswer> answer(const ClientOrder& order) const {
    if (order.action == ClientOrder::Action::facts && facts_fail) return fail(*facts_fail);
    load::ClientAnswer answer{.facts = {.name = order.node, .kernel = "6.1"}, .fio = "fio-3.33"};
    if (order.action == ClientOrder::Action::run) {
      answer.part = {.node = order.node, .bytes = 4 << 20, .operations = 4, .seconds = 1};
    }
    return answer;
  }

  mutable std::mutex mutex_;
  std::set<model::NodeId> away_;
  std::vector<ClientOrder> asked_;
  std::vector<std::jthread> threads_;
};

class BenchDeskTest : public ::testing::Test {
 protected:
  BenchDeskTest() {
    auto edit = inventory_->edit();
    for (int i = 1; i <= 3; ++i) {
      model::Node node{.id = make_id<model::NodeId>(random_), .name = fmt::format("h{}", i)};
      edit.create(node);
      nodes_.push_back(node.id);
      fast_.nodes[node.id] = {.ready = true, .targets = 5};
    }
    fast_.id = make_id<model::PoolId>(random_);
    edit.create(fast_);
    model::Pool local{.id = make_id<model::PoolId>(random_), .name = "local", .path = "/x"};
    for (const auto& node : nodes_) local.nodes[node] = {.ready = true};
    edit.create(local);
    require(inventory_->commit(std::move(edit)).has_value(), "no cluster");
    for (const auto& node : nodes_) inventory_->note_node_state(node, model::NodeState::ready, "");
    request_ = {.pools = {{.pool = "fast"}}, .file_size = 4_MiB, .seconds = 5, .repetitions = 2};
    options_ = {.version = "1",
                .look = std::chrono::milliseconds(5),
                .clean = std::chrono::milliseconds(10),
                .save = std::chrono::milliseconds(0),
                .lead = std::chrono::milliseconds(1)};
  }
  void start_desk() { desk_ = std::make_unique<BenchDesk>(commander_, agents_, agents_, progress_, options_); }
  model::Benchmark ask() {
    const auto asked = reconcile::start_benchmark(commander_, caller_, request_);
    EXPECT_TRUE(asked) << asked.error().describe();
    return asked ? asked->object : model::Benchmark{};
  }
  Error refused(const reconcile::StartBenchmark& request) {
    const auto asked = reconcile::start_benchmark(commander_, caller_, request);
    EXPECT_FALSE(asked);
    EXPECT_TRUE(inventory_->all<model::Benchmark>().empty());
    return asked ? Error{} : asked.error();
  }
  model::Benchmark kept(const model::Benchmark& of) const { return inventory_->find<model::Benchmark>(of.id)->value; }
  model::Operation operation(const model::Benchmark& of) const {
    return inventory_->find<model::Operation>(of.operation)->value;
  }
  template <typename Condition>
  void await(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!condition() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_TRUE(condition());
  }
  void await_end(const model::Benchmark& of) {
    await([&] { return operation(of).terminal(); });
  }

  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  reconcile::Commander commander_{*inventory_, random_, clock_};
  const reconcile::Caller caller_{.actor = "ann"};
  reconcile::ProgressBoard progress_;
  std::vector<model::NodeId> nodes_;
  model::Pool fast_{.name = "fast", .driver = model::PoolDriver::moosefs};
  reconcile::StartBenchmark request_;
  BenchDeskOptions options_;
  FakeAgents agents_;
  std::unique_ptr<BenchDesk> desk_;
};

TEST_F(BenchDeskTest, MeasuresKeepsTheResultAndCleansUp) {
  start_desk();
  const auto asked = ask();
  EXPECT_EQ(asked.name, "bench-1");
  EXPECT_EQ(asked.runs, 3U * 2 * 2);
  await_end(asked);
  EXPECT_EQ(operation(asked).state, OperationState::succeeded);
  const auto done = kept(asked);
  EXPECT_EQ(done.state, BenchmarkState::done);
  EXPECT_EQ(done.runs_done, done.runs);
  EXPECT_TRUE(done.leftovers.empty());
  const auto record = bench::read_record(done.result);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->runs.size(), done.runs);
  EXPECT_EQ(record->name, "bench-1");
  EXPECT_EQ(record->pools.front().servers, 5U) << "as the nodes see them";
  EXPECT_THAT(record->command, HasSubstr("bh bench storage --pools fast --nodes 1,2,3"));
  EXPECT_EQ(agents_.asked(ClientOrder::Action::clean).size(), 1U) << "it is shared: one node is enough";
  for (const auto& order : agents_.asked(ClientOrder::Action::run)) {
    EXPECT_EQ(order.directory.filename(), "bridgehead-bench-" + asked.id.str());
    EXPECT_EQ(order.pressure, 0) << "there are no guests";
  }
  const auto removed = reconcile::remove_benchmark(commander_, caller_, "bench-1");
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_TRUE(inventory_->all<model::Benchmark>().empty());
}

// The reconciler's part, as far as guests of a benchmark need it.
void bring_about_guests(state::Inventory& inventory) {
  auto edit = inventory.edit();
  for (const auto& record : inventory.all<model::Vm>()) {
    if (record->value.deleting) {
      edit.remove(record);
      continue;
    }
    auto status = record->value.status;
    if (std::exchange(status.phase, model::VmPhase::running) != model::VmPhase::running) {
      edit.set_status(record->value.id, status);
    }
  }
  (void)inventory.commit(std::move(edit));
}

TEST_F(BenchDeskTest, GuestsMeasureOnDisksOfTheirOwnAndAreRemoved) {
  {
    auto edit = inventory_->edit();
    model::Image image{.id = make_id<model::ImageId>(random_), .name = "bench"};
    image.role = model::ImageRole::golden;
    image.state = model::ImageState::ready;
    image.pool = fast_.id;
    image.virtual_size = 20_MiB;
    edit.create(image);
    for (const auto& id : nodes_) {
      const auto record = inventory_->find<model::Node>(id);
      auto node = record->value;
      node.facts.cpus = 8;
      node.facts.memory = 16_GiB;
      edit.update(record, node);
    }
    const auto pool = inventory_->find<model::Pool>(fast_.id);
    auto room = pool->value;
    for (auto& [id, on] : room.nodes) on.available = on.total = 1_TiB;
    edit.update(pool, room);
    ASSERT_TRUE(inventory_->commit(std::move(edit)));
  }
  request_.guest_image = "bench";
  request_.guest_memory = 256_MiB;
  request_.file_size = 4_MiB + Bytes(512);
  const auto with = [&](auto change) {
    auto request = request_;
    change(request);
    return refused(request).message;
  };
  EXPECT_THAT(with([](auto& r) { r.workloads = {"metadata"}; }), HasSubstr("the guest's own file system"));
  EXPECT_THAT(with([](auto& r) { r.guest_image = "none"; }), HasSubstr("guest_image"));
  EXPECT_THAT(with([](auto& r) { r.guest_memory = 1_MiB; }), HasSubstr("guest_memory"));
  EXPECT_THAT(with([](auto& r) { r.file_size = 1_TiB; }), HasSubstr("the guests' disks take 3"));

  start_desk();
  std::jthread reconciler([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      bring_about_guests(*inventory_);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  const auto asked = ask();
  await_end(asked);
  EXPECT_EQ(operation(asked).state, OperationState::succeeded) << kept(asked).message;
  EXPECT_TRUE(inventory_->all<model::Vm>().empty());
  std::set<std::string> guests;
  for (const auto& order : agents_.asked(ClientOrder::Action::run)) {
    guests.insert(order.guest);
    EXPECT_EQ(order.disk, "disk1");
  }
  EXPECT_EQ(guests.size(), 3U) << "one on each node";
  EXPECT_TRUE(agents_.asked(ClientOrder::Action::clean).empty()) << "nothing is in a folder";
  const auto record = bench::read_record(kept(asked).result);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_THAT(record->workloads[0].what, HasSubstr("in a guest of 1 CPU and 256 MiB of memory from bench"));
  EXPECT_THAT(record->command, HasSubstr("--through guests --guest-image bench"));

  // Of one that can't measure nothing is left either.
  agents_.facts_fail = Error{ErrorCode::unsupported, "the guest can't measure: no fio", "The image needs fio."};
  const auto without = ask();
  await_end(without);
  EXPECT_EQ(operation(without).state, OperationState::failed);
  EXPECT_THAT(kept(without).message, HasSubstr("no fio"));
  EXPECT_TRUE(inventory_->all<model::Vm>().empty());
}

TEST_F(BenchDeskTest, WhatCantBeIsRefusedBeforeAnythingIsMade) {
  const auto with = [&](auto change) {
    auto request = request_;
    change(request);
    return refused(request);
  };
  EXPECT_EQ(with([](auto& r) { r.pools = {}; }).code, ErrorCode::invalid_argument);
  EXPECT_EQ(with([](auto& r) { r.pools = {{.pool = "none"}}; }).message, "pools: there is no pool 'none'");
  EXPECT_THAT(with([](auto& r) { r.pools.push_back(r.pools.front()); }).message, HasSubstr("named twice"));
  EXPECT_THAT(with([](auto& r) { r.pools = {{.pool = "local"}}; }).message, HasSubstr("isn't shared"));
  EXPECT_THAT(with([](auto& r) { r.counts = "1-4"; }).message, HasSubstr("from 1 to 3"));
  EXPECT_THAT(with([](auto& r) { r.most_nodes = 4; }).message, HasSubstr("3 nodes can take part"));
  EXPECT_THAT(with([](auto& r) { r.workloads = {"dance"}; }).message, HasSubstr("no workload 'dance'"));
  EXPECT_THAT(with([](auto& r) { r.file_size = 1_MiB; }).message, HasSubstr("4 MiB"));
  EXPECT_THAT(with([](auto& r) { r.pressure = 101; }).message, HasSubstr("percentage"));
  EXPECT_THAT(with([](auto& r) { r.guest_disk_ms = -1; }).message, HasSubstr("guest_disk_ms"));
  EXPECT_THAT(with([](auto& r) { r.repetitions = 0; }).message, HasSubstr("repetitions"));
  inventory_->note_node_state(nodes_[1], model::NodeState::unreachable, "");
  EXPECT_THAT(with([](auto& r) { r.nodes = {"h2"}; }).message, HasSubstr("'h2' is unreachable"));
  EXPECT_THAT(with([](auto& r) { r.counts = "3"; }).message, HasSubstr("from 1 to 2"));
}

TEST_F(BenchDeskTest, ANodeWithoutFioSaysSoAndNothingStarts) {
  agents_.facts_fail = Error{ErrorCode::unsupported, "fio isn't installed", "Install it"};
  start_desk();
  const auto asked = ask();
  await_end(asked);
  EXPECT_EQ(operation(asked).state, OperationState::failed);
  EXPECT_THAT(operation(asked).error->message, HasSubstr("h1: fio isn't installed; h2: fio isn't installed"));
  EXPECT_TRUE(agents_.asked(ClientOrder::Action::run).empty());
  EXPECT_EQ(kept(asked).state, BenchmarkState::stopped);
  EXPECT_EQ(kept(asked).result, "");
}

TEST_F(BenchDeskTest, CancelledItCleansUpAndTheNextOneBegins) {
  agents_.hung = true;
  start_desk();
  const auto first = ask();
  const auto second = ask();
  await([&] { return !agents_.asked(ClientOrder::Action::run).empty(); });
  EXPECT_FALSE(reconcile::remove_benchmark(commander_, caller_, first.name)) << "it runs";
  EXPECT_EQ(operation(second).state, OperationState::pending);
  EXPECT_EQ(kept(first).leftovers.size(), 3U) << "noted before anything is there";
  ASSERT_TRUE(reconcile::cancel_operation(commander_, caller_, first.operation.str()));
  await_end(first);
  agents_.hung = false;
  EXPECT_EQ(operation(first).state, OperationState::cancelled);
  EXPECT_TRUE(kept(first).leftovers.empty());
  await_end(second);
  EXPECT_EQ(operation(second).state, OperationState::succeeded);
}

TEST_F(BenchDeskTest, AfterAManagerThatDiedItIsEndedAndWhatIsLeftIsRemovedOnceANodeIsBack) {
  agents_.hung = true;
  start_desk();
  const auto asked = ask();
  await([&] { return !agents_.asked(ClientOrder::Action::run).empty(); });
  desk_.reset();
  EXPECT_EQ(operation(asked).state, OperationState::running);
  agents_.hung = false;
  for (const auto& node : nodes_) agents_.leave(node);
  start_desk();
  EXPECT_EQ(operation(asked).state, OperationState::failed);
  EXPECT_THAT(operation(asked).error->message, HasSubstr("manager was stopped"));
  EXPECT_FALSE(kept(asked).leftovers.empty());
  EXPECT_FALSE(reconcile::remove_benchmark(commander_, caller_, asked.name)) << "files are left";
  EXPECT_TRUE(agents_.asked(ClientOrder::Action::clean).empty());
  agents_.come_back();
  await([&] { return kept(asked).leftovers.empty(); });
  EXPECT_FALSE(agents_.asked(ClientOrder::Action::clean).empty());
}

TEST_F(BenchDeskTest, ItStopsWhenGuestsOfOtherNodesSuffer) {
  request_.nodes = {"h1"};
  model::Vm vm{.id = make_id<model::VmId>(random_), .name = "web", .node = nodes_[2]};
  vm.status.phase = model::VmPhase::running;
  auto edit = inventory_->edit();
  edit.create(vm);
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  agents_.hung = true;
  start_desk();
  const auto asked = ask();
  await([&] { return !agents_.asked(ClientOrder::Action::run).empty(); });
  inventory_->note_node_load(nodes_[1], {.pressure = {.io = 99}});  // no guest there
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(operation(asked).terminal());
  inventory_->note_node_load(nodes_[2], {.pressure = {.io = 75}});
  await_end(asked);
  EXPECT_EQ(operation(asked).state, OperationState::failed);
  EXPECT_THAT(operation(asked).error->message, HasSubstr("h3: guests of this node wait for I/O in 75 %"));
  EXPECT_TRUE(kept(asked).leftovers.empty());

  request_.pressure = 0;
  const auto slow = ask();
  await([&] { return operation(slow).state == OperationState::running; });
  inventory_->note_node_load(nodes_[2], {.pressure = {.io = 75}, .guest_disk_ms = 450});
  await_end(slow);
  EXPECT_THAT(operation(slow).error->message, HasSubstr("h3: a disk operation of a guest takes 450 ms on average"));

  request_.guest_disk_ms = 0;
  const auto again = ask();
  await([&] { return operation(again).state == OperationState::running; });
  agents_.hung = false;
  await_end(again);
  EXPECT_EQ(operation(again).state, OperationState::succeeded);
}

TEST_F(BenchDeskTest, ANodeWithGuestsIsToldToLookAtThem) {
  model::Vm vm{.id = make_id<model::VmId>(random_), .name = "web", .node = nodes_[0]};
  vm.status.phase = model::VmPhase::running;
  auto edit = inventory_->edit();
  edit.create(vm);
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  start_desk();
  await_end(ask());
  for (const auto& order : agents_.asked(ClientOrder::Action::run)) {
    EXPECT_EQ(order.pressure, order.node == "h1" ? 60 : 0) << order.node;
  }
}

}  // namespace
}  // namespace bridgehead::bench_desk
