// Events, listeners, what lives in memory only, counters, many threads, trimming.
#include <set>
#include <thread>

#include "model/codec.h"
#include "state/tests/inventory_fixture.h"

namespace bridgehead::state {
namespace {

using model::Node;
using model::Operation;
using model::OperationState;
using model::Token;
using model::Vm;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::make_vm;
using InventoryTest = testing::InventoryTest;

TEST_F(InventoryTest, EventsCarryTheirRevisionAndComeInOrder) {
  const auto first = commit([](Edit& edit) {
    edit.create(make_vm("1", "web"))
        .event({.kind = "vm.created", .object = "1"})
        .event({.kind = "vm.phase", .object = "1"});
  });
  ASSERT_TRUE(first);
  clock_.advance(std::chrono::seconds(5));
  const auto second = commit([](Edit& edit) { edit.event({.revision = 999, .kind = "cluster.note"}); });
  ASSERT_TRUE(second);
  for (int round = 0; round < 2; ++round, reopen()) {
    const auto all = inventory_->events_since(0, 0);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].kind, "vm.created");
    EXPECT_EQ(all[1].kind, "vm.phase");
    EXPECT_EQ(all[0].revision, *first);
    EXPECT_EQ(all[1].revision, *first);
    EXPECT_EQ(all[2].revision, *second);
    EXPECT_EQ(all[2].time, clock_.now());
    EXPECT_EQ(inventory_->events_since(*first, 10).size(), 1u);
    EXPECT_EQ(inventory_->events_since(0, 1).size(), 1u);
    EXPECT_THAT(inventory_->events_since(*second, 10), IsEmpty());
  }
  ASSERT_TRUE(commit([](Edit& edit) { edit.event({.kind = "after.reopen"}); }));
  EXPECT_EQ(inventory_->events_since(0, 0).back().kind, "after.reopen");
}

TEST_F(InventoryTest, EventsTooOldForMemoryComeFromTheStore) {
  constexpr int kMany = 10500;  // memory holds 10,000
  for (int from = 0; from < kMany; from += 500) {
    ASSERT_TRUE(commit([&](Edit& edit) {
      for (int i = from; i < from + 500; ++i) edit.event({.kind = "test", .object = std::to_string(i)});
    }));
  }
  for (int round = 0; round < 2; ++round, reopen()) {
    const auto all = inventory_->events_since(0, 0);
    ASSERT_EQ(all.size(), static_cast<std::size_t>(kMany));
    for (int i = 0; i < kMany; ++i) ASSERT_EQ(all[static_cast<std::size_t>(i)].object, std::to_string(i));
    EXPECT_EQ(inventory_->events_since(0, 7).size(), 7u);
    EXPECT_EQ(inventory_->events_since(inventory_->revision() - 1, 0).size(), 500u);
  }
}

TEST_F(InventoryTest, ListenersAreToldOnceItIsVisible) {
  std::vector<std::pair<Revision, std::vector<std::string>>> heard;
  auto handle = inventory_->listen([&](Revision revision, const std::vector<model::Event>& events) {
    EXPECT_NE(vm("web"), nullptr);
    EXPECT_EQ(inventory_->revision(), revision);
    heard.emplace_back(revision, std::vector<std::string>());
    for (const auto& event : events) heard.back().second.push_back(event.kind);
  });
  const auto revision = commit([](Edit& edit) { edit.create(make_vm("1", "web")).event({.kind = "vm.created"}); });
  ASSERT_TRUE(revision);
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].first, *revision);
  EXPECT_THAT(heard[0].second, ElementsAre("vm.created"));
  handle.reset();
  ASSERT_TRUE(commit([](Edit& edit) { edit.event({.kind = "unheard"}); }));
  EXPECT_EQ(heard.size(), 1u);
}

TEST_F(InventoryTest, NodeObservationsLiveInMemoryAndOutlastUpdates) {
  Node node{.id = model::NodeId("n"), .name = "n1"};
  node.state = model::NodeState::ready;  // ignored: only note_node_state sets it
  create(node);
  EXPECT_EQ(inventory_->find<Node>(node.id)->value.state, model::NodeState::unreachable);
  int told = 0;
  const auto handle = inventory_->listen([&](Revision, const std::vector<model::Event>& events) {
    ++told;
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, "node.state");
    EXPECT_EQ(events[0].object, "n");
    EXPECT_EQ(events[0].message, "Node 'n1' is ready");
    EXPECT_EQ(inventory_->find<Node>(node.id)->value.state, model::NodeState::ready);
  });
  inventory_->note_node_load(node.id, {.load1 = 1.5});
  EXPECT_EQ(told, 0);
  inventory_->note_node_state(node.id, model::NodeState::ready, "");
  inventory_->note_node_state(node.id, model::NodeState::ready, "");
  inventory_->note_node_state(node.id, model::NodeState::ready, "only the message");
  EXPECT_EQ(told, 1);

  const auto read = inventory_->find<Node>(node.id);
  EXPECT_EQ(read->value.last_seen, clock_.now());
  auto changed = read->value;
  changed.schedulable = false;
  changed.load = {};
  changed.state = model::NodeState::not_ready;
  ASSERT_TRUE(change(*inventory_, [&](Edit& edit) -> Status {
    edit.update(read, changed).event({.kind = "node.state", .object = "n", .message = "Node 'n1' is ready"});
    return {};
  }));
  const auto now = inventory_->find<Node>(node.id)->value;
  EXPECT_FALSE(now.schedulable);
  EXPECT_EQ(now.load.load1, 1.5);
  EXPECT_EQ(now.state, model::NodeState::ready);
  EXPECT_EQ(now.message, "only the message");
  reopen();
  EXPECT_EQ(inventory_->find<Node>(node.id)->value.state, model::NodeState::unreachable);
  EXPECT_EQ(inventory_->find<Node>(node.id)->value.last_seen, Timestamp{});
  inventory_->note_node_load(model::NodeId("nobody"), {});
  inventory_->note_node_state(model::NodeId("nobody"), model::NodeState::ready, "");
}

TEST_F(InventoryTest, TokenUseIsKnownToTheMinute) {
  const Token token{.id = model::TokenId("t"), .name = "admin"};
  create(token);
  clock_.advance(std::chrono::seconds(90));
  inventory_->note_token_use(token.id);
  const auto read = inventory_->find<Token>(token.id);
  EXPECT_EQ(read->value.last_used, clock_.now() - std::chrono::seconds(30));
  inventory_->note_token_use(token.id);
  EXPECT_EQ(inventory_->find<Token>(token.id), read) << "nothing is copied within a minute";
  inventory_->note_token_use(model::TokenId("none"));
}

TEST_F(InventoryTest, CountersNeverGiveANumberTwice) {
  auto edit = inventory_->edit();
  EXPECT_EQ(edit.take("mac"), 1u);
  EXPECT_EQ(edit.take("mac", 3), 2u);
  EXPECT_EQ(edit.take("lease"), 1u);
  auto other = inventory_->edit();
  EXPECT_EQ(other.take("mac"), 5u) << "taken, though the first edit isn't committed";
  std::set<std::uint64_t> given = {1, 2, 3, 4, 5};
  for (int round = 0; round < 3; ++round, reopen()) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(given.insert(inventory_->edit().take("mac")).second);
    }
    const auto first = inventory_->edit().take("mac", 1000);
    for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_TRUE(given.insert(first + i).second);
  }
  EXPECT_LT(*given.rbegin(), 3305u + 3 * 64 + 8) << "gaps stay small";
}

TEST_F(InventoryTest, NumbersForPeopleHaveNoGapsAfterRestarts) {
  for (std::uint64_t number = 1; number <= 5; ++number, reopen()) {
    EXPECT_EQ(inventory_->edit().take_next("node_image/debian-12"), number);
  }
  EXPECT_EQ(inventory_->edit().take("node_image/debian-12"), 6u);
  reopen();
  EXPECT_EQ(inventory_->edit().take_next("node_image/debian-12"), 70u) << "what others have reserved stays so";
}

TEST_F(InventoryTest, ADamagedCounterFailsTheCommit) {
  testing::must_put(*store_, "counter/mac", "many");
  const auto committed = commit([](Edit& edit) {
    EXPECT_EQ(edit.take("mac"), 0u);
    edit.create(make_vm("1", "web"));
  });
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::data_corrupt);
  EXPECT_EQ(vm("web"), nullptr);
}

TEST_F(InventoryTest, ManyThreadsCreateAndRaceForOneName) {
  constexpr int kThreads = 20;
  std::atomic<int> created = 0;
  std::atomic<int> refused = 0;
  std::mutex mutex;
  std::set<std::uint64_t> numbers;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        const auto own = change(*inventory_, [&](Edit& edit) -> Status {
          auto value = make_vm(fmt::format("own{}", i), fmt::format("vm-{}", i));
          value.lease = edit.take("lease");
          edit.create(value).event({.kind = "vm.created", .object = value.id.str()});
          return {};
        });
        EXPECT_TRUE(own) << own.error().describe();
        const auto contested = change(*inventory_, [&](Edit& edit) -> Status {
          edit.create(make_vm(fmt::format("{}", i), "web"));
          return {};
        });
        if (contested)
          ++created;
        else if (contested.error().code == ErrorCode::already_exists)
          ++refused;
        EXPECT_NE(inventory_->find<Vm>(model::VmId(fmt::format("own{}", i))), nullptr) << "visible when commit returns";
      });
    }
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(refused, kThreads - 1);
  for (const auto& record : inventory_->all<Vm>()) numbers.insert(record->value.lease);
  EXPECT_EQ(numbers.size(), kThreads + 1u) << "each its own lease; 0 is the contested one's";
  const auto events = inventory_->events_since(0, 0);
  EXPECT_EQ(events.size(), static_cast<std::size_t>(kThreads));
  for (std::size_t i = 1; i < events.size(); ++i) EXPECT_LT(events[i - 1].revision, events[i].revision);
}

TEST_F(InventoryTest, TrimKeepsOpenOperationsAndTheNewest) {
  for (int i = 0; i < 700; ++i) {
    Operation operation{.id = model::OperationId(fmt::format("{:04}", i)), .kind = "vm.start", .target = "t"};
    operation.created = clock_.now();
    if (i % 7 != 0) operation.state = i % 2 != 0 ? OperationState::failed : OperationState::succeeded;
    ASSERT_TRUE(commit([&](Edit& edit) {
      edit.create(operation).event({.kind = "operation.created", .object = operation.id.str()});
    }));
    clock_.advance(std::chrono::seconds(1));
  }
  ASSERT_TRUE(inventory_->trim(50));
  for (int round = 0; round < 2; ++round, reopen()) {
    EXPECT_EQ(inventory_->open_operations().size(), 100u);
    EXPECT_EQ(inventory_->all<Operation>().size(), 150u);
    EXPECT_EQ(inventory_->all<Operation>().front()->value.id.str(), "0699");
    EXPECT_EQ(inventory_->operations_of("t").size(), 150u);
    EXPECT_EQ(store_->list("event/")->size(), 50u);
  }
  EXPECT_EQ(inventory_->events_since(0, 0).size(), 50u);
  const auto revision = store_->revision();
  ASSERT_TRUE(inventory_->trim(50));
  EXPECT_EQ(store_->revision(), revision) << "nothing left to do";
}

TEST_F(InventoryTest, FollowsWhatOthersWriteToTheStore) {
  testing::must_put(*store_, "vm/9", model::encode(make_vm("9", "foreign")));
  EXPECT_EQ(inventory_->find<Vm>(model::VmId("9"))->value.name, "foreign");
  testing::must_put(*store_, "vm/9", "rubbish");
  EXPECT_EQ(inventory_->find<Vm>(model::VmId("9"))->value.name, "foreign") << "the last readable one stays";
  testing::must_commit(*store_, Transaction().erase("vm/9"));
  EXPECT_EQ(inventory_->find<Vm>(model::VmId("9")), nullptr);
}

}  // namespace
}  // namespace bridgehead::state
