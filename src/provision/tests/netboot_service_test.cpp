// NetbootService and ImageWorks against services that only remember what they were asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ids.h"
#include "provision/image_works.h"
#include "provision/netboot_service.h"
#include "reconcile/commands/netboot.h"
#include "state/memory_store.h"

namespace bridgehead::provision {
namespace {

using ::testing::HasSubstr;

const Error kAway{ErrorCode::unavailable, "the helper isn't there", "Start it."};

class RememberingServices final : public boot_services::BootServices {
 public:
  void listen(Listener wanted) override {
    const std::lock_guard lock(mutex);
    listener = std::move(wanted);
  }
  Result<model::ServingStatus> apply(const model::ServingPlan& plan, std::stop_token) override {
    const std::lock_guard lock(mutex);
    if (away) return fail(kAway);
    plans.push_back(plan);
    times.push_back(std::chrono::steady_clock::now());
    return parts();
  }
  Result<model::ServingStatus> status() const override {
    const std::lock_guard lock(mutex);
    if (away) return fail(kAway);
    return parts();
  }
  Result<model::ForeignDhcpServers> foreign_dhcp_servers(std::stop_token) override {
    return model::ForeignDhcpServers{};
  }
  Result<model::NodeImage> make_image(const model::NodeImageOrder& order, const ProgressSink&,
                                      std::stop_token stop) override {
    std::unique_lock lock(mutex);
    orders.push_back(order);
    if (publishes_on) {
      std::condition_variable_any never;
      never.wait(lock, stop, [] { return false; });
      return fail(ErrorCode::cancelled, "it was cancelled, but the helper has not given up yet");
    }
    if (std::exchange(dies_once, false)) return fail(kAway);
    if (!order.path.empty()) return fail(ErrorCode::permission_denied, "not from {}", order.path);
    model::NodeImage made;
    made.id = order.id;
    made.base = order.base;
    made.version = order.version;
    made.name = fmt::format("{}:{}", order.base, order.version);
    made.state = model::NodeImageState::ready;
    made.kernel_version = "6.1.0";
    return made;
  }
  Status remove_image(const model::NodeImageId& id, std::stop_token stop) override {
    std::unique_lock lock(mutex);
    if (away) return fail(kAway);
    if (removes_slowly) {
      removing = true;
      std::condition_variable_any never;
      never.wait(lock, stop, [] { return false; });
      return fail(ErrorCode::cancelled, "the caller didn't wait for it");
    }
    removed.push_back(id);
    return {};
  }
  Result<model::NodeImageDifference> compare_images(const model::NodeImageComparison&) const override {
    return model::NodeImageDifference{};
  }

  model::ServingStatus parts() const {
    if (plans.empty() || plans.back().mode == model::NetbootMode::off) return {};
    return {.parts = {{.name = "dhcp", .running = dhcp_runs, .message = dhcp_runs ? "" : "port 67 is taken"}}};
  }
  std::size_t applied() const {
    const std::lock_guard lock(mutex);
    return plans.size();
  }
  model::ServingPlan last() const {
    const std::lock_guard lock(mutex);
    return plans.empty() ? model::ServingPlan{} : plans.back();
  }

  mutable std::mutex mutex;
  Listener listener;
  std::vector<model::ServingPlan> plans;
  std::vector<std::chrono::steady_clock::time_point> times;  // of the plans
  std::vector<model::NodeImageOrder> orders;
  std::vector<model::NodeImageId> removed;
  std::atomic<bool> publishes_on{false};  // whatever the caller wants, and without telling
  std::atomic<bool> removes_slowly{false};
  std::atomic<bool> removing{false};
  bool away = false;
  bool dhcp_runs = true;
  bool dies_once = false;
};

template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

class NetbootServiceTest : public ::testing::Test {
 protected:
  void start() {
    service_ = std::make_unique<NetbootService>(*inventory_, services_, clock_, random_, AgentDoor{}, directory_.path(),
                                                directory_.path() / "reads");
  }
  // Of this process alone, or the same test of another checkout could have the port.
  static std::string own_address() {
    const auto pid = ::getpid();
    return fmt::format("127.{}.{}.{}", 64 + (pid >> 16 & 63), pid >> 8 & 255, pid & 255);
  }
  void enable() {
    const auto enabled = reconcile::enable_netboot(
        commander_, {.actor = "test"},
        {.interface = "lo", .address = own_address() + "/8", .range = "127.0.0.100-127.0.0.200", .http_port = 27480});
    ASSERT_TRUE(enabled) << enabled.error().describe();
  }
  void disable() { ASSERT_TRUE(reconcile::disable_netboot(commander_, {.actor = "test"})); }
  // A node whose boot has left the initramfs.
  model::NodeId booted(const std::string& mac) {
    model::Node node{.id = make_id<model::NodeId>(random_), .name = "node-" + mac.substr(15)};
    node.netboot.emplace().mac = mac;
    node.facts.cpus = 1;
    model::Boot boot{.id = node.id};
    boot.events = {{.step = model::BootStep::dhcp}, {.step = model::BootStep::handover}};
    auto edit = inventory_->edit();
    edit.create(node).create(boot);
    EXPECT_TRUE(inventory_->commit(std::move(edit)));
    return node.id;
  }
  void join(const model::NodeId& node) {
    auto edit = inventory_->edit();
    edit.event({.time = {}, .kind = "node.joined", .object_kind = "node", .object = node.str()});
    EXPECT_TRUE(inventory_->commit(std::move(edit)));
  }
  void note(const model::NodeId& node, model::BootStep step) {
    EXPECT_TRUE(state::change(*inventory_, [&](state::Edit& edit) -> Status {
      const auto record = inventory_->find<model::Boot>(node);
      auto boot = record->value;
      boot.events.push_back({.step = step});
      edit.update(record, boot);
      return {};
    }));
  }
  std::string steps(const model::NodeId& node) {
    std::vector<std::string> told;
    for (const auto& event : inventory_->find<model::Boot>(node)->value.events) {
      told.emplace_back(model::to_string(event.step));
    }
    return fmt::format("{}", fmt::join(told, " "));
  }
  std::string part(const std::string& name) {
    for (const auto& one : service_->status().parts) {
      if (one.name == name) return one.running ? "runs" : one.message;
    }
    return "not there";
  }

  SystemClock clock_;
  SeededRandom random_{11};
  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  reconcile::Commander commander_{*inventory_, random_, clock_};
  RememberingServices services_;
  std::unique_ptr<NetbootService> service_;
};

TEST_F(NetbootServiceTest, TheWholePlanIsAppliedAtEachChange) {
  start();
  ASSERT_TRUE(eventually([&] { return services_.applied() == 1; })) << "what a manager before left is ended";
  EXPECT_EQ(services_.last(), model::ServingPlan{});
  enable();
  ASSERT_TRUE(eventually([&] { return services_.last().mode == model::NetbootMode::full; }));
  EXPECT_EQ(services_.last().interface, "lo");
  EXPECT_FALSE(services_.last().nfs);
  EXPECT_TRUE(eventually([&] { return part("http") == "runs" && part("dhcp") == "runs"; }));
  ASSERT_TRUE(reconcile::set_profile(commander_, {.actor = "test"},
                                     {.name = "from-outside", .root = model::RootTransport::nfs}));
  EXPECT_TRUE(eventually([&] { return services_.last().nfs; }));
}

TEST_F(NetbootServiceTest, OffIsAppliedThoughNotAllPartsRan) {
  services_.dhcp_runs = false;
  start();
  enable();
  ASSERT_TRUE(eventually([&] { return services_.last().mode == model::NetbootMode::full; }));
  EXPECT_TRUE(eventually([&] { return part("dhcp") == "port 67 is taken"; }));
  disable();
  EXPECT_TRUE(eventually([&] { return services_.last() == model::ServingPlan{}; }));
}

TEST_F(NetbootServiceTest, AHelperThatBeganAnewGetsThePlanAtOnce) {
  enable();
  start();
  ASSERT_TRUE(eventually([&] { return services_.applied() == 1; }));
  services_.listener.began_anew();
  EXPECT_TRUE(eventually([&] { return services_.applied() == 2; }));
}

TEST_F(NetbootServiceTest, AHelperThatIsAwayIsTold) {
  services_.away = true;
  enable();
  start();
  EXPECT_FALSE(service_->available());
  EXPECT_THAT(part("dhcp"), HasSubstr("the helper isn't there. Start it."));
  EXPECT_THAT(part("nbd"), HasSubstr("the helper isn't there"));
  EXPECT_TRUE(eventually([&] { return part("http") == "runs"; })) << "what the manager does itself goes on";
}

TEST_F(NetbootServiceTest, WhatChangesNothingIsSentAgainOnlyAfterAWhile) {
  enable();
  start();
  ASSERT_TRUE(eventually([&] { return services_.applied() == 1; }));
  // An event, and nothing else to serve: it is looked at within half a second.
  ASSERT_TRUE(reconcile::create_join_token(commander_, {.actor = "test"},
                                           {.node_name = "n", .secret_sha256 = std::string(64, 'a')}));
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  while (services_.applied() == 1 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(reconcile::set_profile(commander_, {.actor = "test"},
                                     {.name = "from-outside", .root = model::RootTransport::nfs}));
  ASSERT_TRUE(eventually([&] { return services_.last().nfs; }));
  const std::lock_guard lock(services_.mutex);
  for (std::size_t i = 1; i < services_.plans.size(); ++i) {
    EXPECT_TRUE(services_.plans[i] != services_.plans[i - 1] ||
                services_.times[i] - services_.times[i - 1] > std::chrono::seconds(9));
  }
}

TEST_F(NetbootServiceTest, AManagerThatIsKilledAfterAJoinForgetsNoReadyNode) {
  enable();
  for (const bool noted : {true, false}) {  // whether the manager before came to note the agent
    SCOPED_TRACE(noted);
    const auto node = booted(noted ? "52:54:00:00:00:01" : "52:54:00:00:00:02");
    join(node);
    if (noted) note(node, model::BootStep::agent);
    start();
    inventory_->note_node_state(node, model::NodeState::ready, "");
    EXPECT_TRUE(eventually([&] { return steps(node) == "dhcp handover agent ready"; })) << steps(node);
    service_.reset();
  }
}

TEST_F(NetbootServiceTest, AMachineThatBootsAnewIsNotReadyByItsEarlierJoin) {
  enable();
  const auto node = booted("52:54:00:00:00:01");
  join(node);
  note(node, model::BootStep::agent);
  start();
  ASSERT_TRUE(eventually([&] { return services_.applied() == 1; }));
  note(node, model::BootStep::kernel);  // its power failed; the agent's stream isn't known to be dead yet
  inventory_->note_node_state(node, model::NodeState::ready, "");
  std::this_thread::sleep_for(std::chrono::seconds(3));  // it is looked at each second
  EXPECT_EQ(steps(node), "dhcp handover agent kernel");
}

TEST_F(NetbootServiceTest, ACancelledImageThatWasPublishedIsRemoved) {
  reconcile::ProgressBoard progress;
  services_.publishes_on = true;
  ImageWorks works(*inventory_, services_, progress, clock_);
  const auto begun = [&](std::size_t count) {
    return eventually([&] {
      const std::lock_guard lock(services_.mutex);
      return services_.orders.size() == count;
    });
  };
  const auto ended = [&](const model::OperationId& id) {
    EXPECT_TRUE(eventually([&] { return inventory_->find<model::Operation>(id)->value.terminal(); }));
    return inventory_->find<model::Operation>(id)->value.state;
  };
  const auto first = reconcile::build_node_image(commander_, {.actor = "test"}, {.base = "debian-12"});
  ASSERT_TRUE(first) << first.error().describe();
  ASSERT_TRUE(begun(1));
  ASSERT_TRUE(reconcile::cancel_operation(commander_, {.actor = "test"}, first->operation.id.str()));
  EXPECT_EQ(ended(first->operation.id), model::OperationState::cancelled);
  EXPECT_FALSE(inventory_->find<model::NodeImage>(first->object.id));
  {
    const std::lock_guard lock(services_.mutex);
    EXPECT_THAT(services_.removed, ::testing::ElementsAre(first->object.id));
  }

  // Nobody knows whether it was published: its record stays, and with it the way to delete it.
  const auto second = reconcile::build_node_image(commander_, {.actor = "test"}, {.base = "debian-12"});
  ASSERT_TRUE(second) << second.error().describe();
  ASSERT_TRUE(begun(2));
  {
    const std::lock_guard lock(services_.mutex);
    services_.away = true;
  }
  ASSERT_TRUE(reconcile::cancel_operation(commander_, {.actor = "test"}, second->operation.id.str()));
  EXPECT_EQ(ended(second->operation.id), model::OperationState::failed);
  EXPECT_TRUE(inventory_->find<model::NodeImage>(second->object.id));
}

TEST_F(NetbootServiceTest, AManagerThatStopsDoesNotWaitForAHelperThatGivesUp) {
  reconcile::ProgressBoard progress;
  services_.publishes_on = services_.removes_slowly = true;
  std::optional<ImageWorks> works(std::in_place, *inventory_, services_, progress, clock_);
  const auto asked = reconcile::build_node_image(commander_, {.actor = "test"}, {.base = "debian-12"});
  ASSERT_TRUE(asked) << asked.error().describe();
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(services_.mutex);
    return services_.orders.size() == 1;
  }));
  ASSERT_TRUE(reconcile::cancel_operation(commander_, {.actor = "test"}, asked->operation.id.str()));
  ASSERT_TRUE(eventually([&] { return services_.removing.load(); }));
  works.reset();  // would hang
  EXPECT_FALSE(inventory_->find<model::Operation>(asked->operation.id)->value.terminal());
  services_.removes_slowly = false;
  works.emplace(*inventory_, services_, progress, clock_);
  EXPECT_TRUE(eventually([&] { return inventory_->find<model::Operation>(asked->operation.id)->value.terminal(); }))
      << "the next one does it";
  EXPECT_FALSE(inventory_->find<model::NodeImage>(asked->object.id));
}

TEST_F(NetbootServiceTest, ImagesAreOrderedAndFinished) {
  reconcile::ProgressBoard progress;
  services_.dies_once = true;
  const auto asked = reconcile::build_node_image(commander_, {.actor = "test"}, {.base = "debian-12"});
  ASSERT_TRUE(asked) << asked.error().describe();
  ImageWorks works(*inventory_, services_, progress, clock_);
  const auto image = [&] { return inventory_->find<model::NodeImage>(asked->object.id)->value; };
  EXPECT_TRUE(eventually([&] { return image().state == model::NodeImageState::ready; }))
      << "ordered again after the helper died";
  EXPECT_EQ(image().kernel_version, "6.1.0");
  EXPECT_EQ(image().source, "recipe debian-12 compute") << "what was asked for stays";
  {
    const std::lock_guard lock(services_.mutex);
    ASSERT_EQ(services_.orders.size(), 2U);
    EXPECT_EQ(services_.orders[0], services_.orders[1]);
    EXPECT_EQ(services_.orders[0].recipe, "debian-12");
  }
  const auto wrong = reconcile::import_node_image(commander_, {.actor = "test"}, {.base = "other", .path = "/etc"});
  ASSERT_TRUE(wrong) << wrong.error().describe();
  const auto operation = [&] { return inventory_->find<model::Operation>(wrong->operation.id)->value; };
  EXPECT_TRUE(eventually([&] { return operation().state == model::OperationState::failed; }));
  EXPECT_EQ(operation().error->message, "not from /etc");
}

}  // namespace
}  // namespace bridgehead::provision
