// Records, names, indexes, conflicts.
#include "model/codec.h"
#include "state/tests/inventory_fixture.h"

namespace bridgehead::state {
namespace {

using model::Image;
using model::JoinToken;
using model::Network;
using model::Node;
using model::Operation;
using model::OperationState;
using model::Pool;
using model::Token;
using model::Vm;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ids;
using ::testing::IsEmpty;
using testing::make_vm;
using testing::names;
using InventoryTest = testing::InventoryTest;

TEST_F(InventoryTest, FindsByIdAndNameAndListsInNameOrder) {
  create(make_vm("2", "web"));
  create(make_vm("1", "db"));
  create(make_vm("3", "app"));
  EXPECT_THAT(names(inventory_->all<Vm>()), ElementsAre("app", "db", "web"));
  EXPECT_EQ(inventory_->find<Vm>(model::VmId("1"))->value.name, "db");
  EXPECT_EQ(vm("web")->value.id.str(), "2");
  EXPECT_EQ(vm("we"), nullptr);
  EXPECT_EQ(vm(""), nullptr);
  EXPECT_EQ(inventory_->find<Vm>(model::VmId("9")), nullptr);
  reopen();
  EXPECT_THAT(names(inventory_->all<Vm>()), ElementsAre("app", "db", "web"));
  EXPECT_EQ(vm("web")->value.id.str(), "2");
}

TEST_F(InventoryTest, KeepsEveryKindOverAReopen) {
  const auto at = clock_.now();
  const Node node{.id = model::NodeId("n"), .name = "n1", .created = at};
  const Pool pool{.id = model::PoolId("p"), .name = "local", .path = "/p", .created = at};
  const Image image{.id = model::ImageId("i"), .name = "debian-12", .pool = pool.id, .created = at};
  const Network network{.id = model::NetworkId("w"), .name = "default", .created = at};
  const Operation operation{.id = model::OperationId("o"), .kind = "vm.create", .target = "v", .created = at};
  const Token token{.id = model::TokenId("t"), .name = "admin", .secret_sha256 = "aa", .created = at};
  const JoinToken join{
      .id = model::TokenId("j"), .node_name = "n2", .secret_sha256 = "bb", .created = at, .expires = at};
  Vm v = make_vm("v", "web");
  v.status.phase = model::VmPhase::creating;
  const auto committed = commit([&](Edit& edit) {
    edit.create(node).create(pool).create(image).create(network).create(operation).create(token).create(join).create(v);
  });
  ASSERT_TRUE(committed) << committed.error().describe();
  for (int round = 0; round < 2; ++round, reopen()) {
    EXPECT_EQ(inventory_->revision(), *committed);
    EXPECT_EQ(inventory_->find<Node>(node.id)->value, node);
    EXPECT_EQ(inventory_->find<Pool>(pool.id)->value, pool);
    EXPECT_EQ(inventory_->find<Image>(image.id)->value, image);
    EXPECT_EQ(inventory_->find<Network>(network.id)->value, network);
    EXPECT_EQ(inventory_->find<Operation>(operation.id)->value, operation);
    EXPECT_EQ(inventory_->find<Token>(token.id)->value, token);
    EXPECT_EQ(inventory_->find<JoinToken>(join.id)->value, join);
    EXPECT_EQ(inventory_->find<Vm>(v.id)->value, v);
    EXPECT_EQ(inventory_->find_by_name<Network>("default")->value.id, network.id);
    EXPECT_EQ(inventory_->find<Vm>(v.id)->revision, *committed);
  }
}

TEST_F(InventoryTest, ANameIsTakenOncePerKind) {
  create(make_vm("1", "web"));
  create(Network{.id = model::NetworkId("1"), .name = "web"});  // another kind
  const auto taken = commit([&](Edit& edit) { edit.create(make_vm("2", "web")); });
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::already_exists);
  EXPECT_EQ(taken.error().message, "a VM named 'web' already exists");

  const auto twice = commit([&](Edit& edit) { edit.create(make_vm("3", "new")).create(make_vm("4", "new")); });
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, ErrorCode::already_exists);
  EXPECT_EQ(inventory_->all<Vm>().size(), 1u);

  const auto same_id = commit([&](Edit& edit) { edit.create(make_vm("1", "other")); });
  ASSERT_FALSE(same_id);
  EXPECT_EQ(same_id.error().code, ErrorCode::already_exists);
}

TEST_F(InventoryTest, RenamingMovesTheClaim) {
  create(make_vm("1", "web"));
  create(make_vm("2", "db"));
  auto renamed = vm("web")->value;
  renamed.name = "db";
  const auto taken = commit([&](Edit& edit) { edit.update(vm("web"), renamed); });
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::already_exists);
  renamed.name = "shop";
  ASSERT_TRUE(commit([&](Edit& edit) { edit.update(vm("web"), renamed); }));
  EXPECT_EQ(vm("web"), nullptr);
  EXPECT_EQ(vm("shop")->value.id.str(), "1");
  create(make_vm("3", "web"));

  // Two names change places, and a removed record's name is free in the same edit.
  auto first = vm("shop")->value;
  auto second = vm("db")->value;
  std::swap(first.name, second.name);
  const auto swapped = commit([&](Edit& edit) {
    edit.update(vm("shop"), first).update(vm("db"), second).remove(vm("web")).create(make_vm("4", "web"));
  });
  ASSERT_TRUE(swapped) << swapped.error().describe();
  for (int round = 0; round < 2; ++round, reopen()) {
    EXPECT_EQ(vm("db")->value.id.str(), "1");
    EXPECT_EQ(vm("shop")->value.id.str(), "2");
    EXPECT_EQ(vm("web")->value.id.str(), "4");
    EXPECT_EQ(inventory_->all<Vm>().size(), 3u);
  }
  const auto still_taken = commit([&](Edit& edit) { edit.create(make_vm("5", "shop")); });
  ASSERT_FALSE(still_taken);
  EXPECT_EQ(still_taken.error().code, ErrorCode::already_exists);
}

TEST_F(InventoryTest, AStaleUpdateConflicts) {
  create(make_vm("1", "web"));
  const auto read = vm("web");
  auto changed = read->value;
  changed.spec.cpus = 4;
  ASSERT_TRUE(commit([&](Edit& edit) { edit.update(read, changed); }));
  const auto stale = commit([&](Edit& edit) { edit.update(read, changed); });
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::conflict);
  EXPECT_FALSE(commit([&](Edit& edit) { edit.remove(read); }));
  EXPECT_EQ(read->value.spec.cpus, 1u) << "a record that was given out never changes";
  EXPECT_EQ(vm("web")->value.spec.cpus, 4u);
  EXPECT_FALSE(commit([&](Edit& edit) { edit.update<Vm>(nullptr, changed); }));
}

TEST_F(InventoryTest, StatusAndSpecNeverConflict) {
  create(make_vm("1", "web"));
  const auto read = vm("web");
  model::VmStatus status;
  status.phase = model::VmPhase::running;
  status.ip_addresses = {"192.0.2.1"};
  ASSERT_TRUE(commit([&](Edit& edit) { edit.set_status(read->value.id, status); }));
  EXPECT_EQ(vm("web")->value.status, status);
  EXPECT_EQ(vm("web")->revision, read->revision);

  auto changed = read->value;  // with the status of before
  changed.generation = 2;
  ASSERT_TRUE(commit([&](Edit& edit) { edit.update(read, changed); }));
  EXPECT_EQ(vm("web")->value.generation, 2u);
  EXPECT_EQ(vm("web")->value.status, status);
  reopen();
  EXPECT_EQ(vm("web")->value.status, status);

  ASSERT_TRUE(commit([&](Edit& edit) { edit.remove(vm("web")); }));
  EXPECT_THAT(testing::keys_of(*store_, ""), IsEmpty());
  const auto gone = commit([&](Edit& edit) { edit.set_status(read->value.id, status); });
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::conflict);
}

TEST_F(InventoryTest, IndexesFollowEveryChange) {
  Vm on_node = make_vm("1", "web");
  on_node.node = model::NodeId("a");
  create(on_node);
  create(make_vm("2", "db"));
  Image clone{.id = model::ImageId("c"),
              .name = "web-disk0",
              .role = model::ImageRole::disk,
              .parent = model::ImageId("golden"),
              .vm = on_node.id};
  create(clone);
  EXPECT_THAT(names(inventory_->vms_on_node(model::NodeId("a"))), ElementsAre("web"));
  EXPECT_THAT(names(inventory_->clones_of(model::ImageId("golden"))), ElementsAre("web-disk0"));
  EXPECT_THAT(names(inventory_->images_of_vm(on_node.id)), ElementsAre("web-disk0"));
  EXPECT_THAT(names(inventory_->vms_on_node(model::NodeId(""))), IsEmpty()) << "not placed is no place";

  auto moved = vm("db")->value;
  moved.node = model::NodeId("a");
  auto left = vm("web")->value;
  left.node = model::NodeId("b");
  clone.vm = {};
  ASSERT_TRUE(commit([&](Edit& edit) {
    edit.update(vm("db"), moved).update(vm("web"), left).update(inventory_->find<Image>(clone.id), clone);
  }));
  for (int round = 0; round < 2; ++round, reopen()) {
    EXPECT_THAT(names(inventory_->vms_on_node(model::NodeId("a"))), ElementsAre("db"));
    EXPECT_THAT(names(inventory_->vms_on_node(model::NodeId("b"))), ElementsAre("web"));
    EXPECT_THAT(names(inventory_->images_of_vm(on_node.id)), IsEmpty());
    EXPECT_THAT(names(inventory_->clones_of(model::ImageId("golden"))), ElementsAre("web-disk0"));
  }
  ASSERT_TRUE(commit([&](Edit& edit) { edit.remove(inventory_->find<Image>(clone.id)).remove(vm("db")); }));
  EXPECT_THAT(names(inventory_->clones_of(model::ImageId("golden"))), IsEmpty());
  EXPECT_THAT(names(inventory_->vms_on_node(model::NodeId("a"))), IsEmpty());
}

TEST_F(InventoryTest, OperationsAreListedByAgeTargetAndState) {
  for (const char* id : {"first", "second", "third"}) {
    create(Operation{
        .id = model::OperationId(id), .kind = "vm.start", .target = id[0] == 's' ? "b" : "a", .created = clock_.now()});
    clock_.advance(std::chrono::seconds(1));
  }
  EXPECT_THAT(ids(inventory_->all<Operation>()), ElementsAre("third", "second", "first"));
  EXPECT_THAT(ids(inventory_->open_operations()), ElementsAre("first", "second", "third"));
  EXPECT_THAT(ids(inventory_->operations_of("a")), ElementsAre("third", "first"));
  const auto read = inventory_->find<Operation>(model::OperationId("second"));
  auto ended = read->value;
  ended.state = OperationState::succeeded;
  ASSERT_TRUE(commit([&](Edit& edit) { edit.update(read, ended); }));
  for (int round = 0; round < 2; ++round, reopen()) {
    EXPECT_THAT(ids(inventory_->open_operations()), ElementsAre("first", "third"));
    EXPECT_THAT(ids(inventory_->all<Operation>()), ElementsAre("third", "second", "first"));
    EXPECT_THAT(ids(inventory_->operations_of("b")), ElementsAre("second"));
  }
}

TEST_F(InventoryTest, ChangeRepeatsUntilNothingConflicts) {
  create(make_vm("1", "web"));
  int calls = 0;
  const auto raised = [&](Edit& edit) -> Status {
    const auto read = vm("web");
    auto value = read->value;
    ++value.generation;
    edit.update(read, value);
    if (++calls < 5) {  // somebody comes in between
      auto between = read->value;
      between.labels["n"] = std::to_string(calls);
      EXPECT_TRUE(commit([&](Edit& other) { other.update(read, between); }));
    }
    return {};
  };
  ASSERT_TRUE(change(*inventory_, raised));
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(vm("web")->value.generation, 2u);
  EXPECT_EQ(vm("web")->value.labels.at("n"), "4");

  calls = -1000;
  const auto never = change(*inventory_, raised);
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code, ErrorCode::conflict);
  EXPECT_EQ(calls, -980);

  const auto refused = change(*inventory_, [](Edit&) -> Status { return fail(ErrorCode::invalid_argument, "no"); });
  EXPECT_EQ(refused.error().message, "no");
  EXPECT_EQ(change(*inventory_, [](Edit&) -> Status { return {}; }).value(), inventory_->revision()) << "nothing to do";
}

TEST_F(InventoryTest, RefusesToOpenWhatItCannotRead) {
  inventory_.reset();
  const auto expect_refused = [&](const std::string& key, const std::string& value, ErrorCode code) {
    testing::must_put(*store_, key, value);
    const auto opened = Inventory::open(*store_, clock_);
    ASSERT_FALSE(opened) << key;
    EXPECT_EQ(opened.error().code, code);
    EXPECT_THAT(opened.error().message, HasSubstr("'" + key + "'"));
    testing::must_commit(*store_, Transaction().erase(key));
  };
  expect_refused("vm/1", "rubbish", ErrorCode::data_corrupt);
  expect_refused("vm/1", model::encode(make_vm("2", "web")), ErrorCode::data_corrupt);
  expect_refused("node/1", R"({"kind":"node","version":2,"data":{}})", ErrorCode::unsupported);
  expect_refused("vm_status/1", "{}", ErrorCode::data_corrupt);
  expect_refused("event/00000000000000000001", "", ErrorCode::data_corrupt);
  expect_refused("event/x", "", ErrorCode::data_corrupt);
  EXPECT_TRUE(Inventory::open(*store_, clock_));
}

}  // namespace
}  // namespace bridgehead::state
