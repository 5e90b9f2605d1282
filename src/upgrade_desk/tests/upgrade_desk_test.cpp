// How the desk takes upgrades from stage to stage: what an agent gets, and what is noted of its answers.
#include "upgrade_desk/upgrade_desk.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "base/testing/manual_clock.h"
#include "pki/tokens.h"
#include "state/memory_store.h"

namespace bridgehead::upgrade_desk {
namespace {

using model::OperationState;
using reconcile::operations::UpgradeOutcome;
using reconcile::operations::UpgradeStage;

// A node's agent: takes a whole order, then answers as the test says. Each tunnel has its thread, as a gateway has.
class Agent final : public reconcile::TunnelBroker, public reconcile::AgentPort {
 public:
  ~Agent() override {
    for (auto& thread : threads_) thread.join();
  }

  Result<std::shared_ptr<reconcile::Tunnel>> open(const model::NodeId&, const reconcile::TunnelRequest& request,
                                                  reconcile::TunnelHandlers handlers) override {
    EXPECT_EQ(request.kind, reconcile::TunnelKind::upgrade);
    auto talk = std::make_shared<Talk>();
    talk->handlers = std::move(handlers);
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([this, talk] { serve(*talk); });
    return std::make_shared<End>(talk);
  }

  bool connected(const model::NodeId&) const override { return there; }
  bool assign(const model::NodeId&, const model::Assignment&) override { return false; }
  bool cancel(const model::NodeId&, const model::OperationId&) override { return false; }
  bool acknowledge(const model::NodeId&, const model::OperationId&) override { return false; }

  void answers(Result<model::UpgradeAnswer> to_order, Result<model::UpgradeAnswer> to_question) {
    const std::lock_guard lock(mutex_);
    to_order_ = std::move(to_order);
    to_question_ = std::move(to_question);
  }
  std::vector<std::string> taken() const {
    const std::lock_guard lock(mutex_);
    return taken_;
  }

  std::atomic<bool> there = true;
  std::atomic<bool> cuts_off = false;

 private:
  struct Talk {
    reconcile::TunnelHandlers handlers;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::pair<std::string, std::function<void()>>> sent;
    bool finished = false, closed = false;
    int room = 0;
  };
  class End final : public reconcile::Tunnel {
   public:
    explicit End(std::shared_ptr<Talk> talk) : talk_(std::move(talk)) {}
    ~End() override { close({}); }
    void write(std::string bytes, std::function<void()> sent) override {
      note([&] { talk_->sent.emplace_back(std::move(bytes), std::move(sent)); });
    }
    void resize(std::uint32_t, std::uint32_t) override {}
    void finish() override {
      note([&] { talk_->finished = true; });
    }
    void close(std::string) override {
      note([&] { talk_->closed = true; });
    }
    void resume() override {
      note([&] { ++talk_->room; });
    }

   private:
    void note(const std::function<void()>& change) {
      const std::lock_guard lock(talk_->mutex);
      change();
      talk_->changed.notify_all();
    }
    std::shared_ptr<Talk> talk_;
  };

  void serve(Talk& talk) {
    talk.handlers.opened();
    std::string order;
    std::unique_lock lock(talk.mutex);
    for (;;) {
      talk.changed.wait(lock, [&] { return !talk.sent.empty() || talk.finished || talk.closed; });
      if (talk.sent.empty()) break;
      auto [bytes, sent] = std::move(talk.sent.front());
      talk.sent.pop_front();
      order += bytes;
      lock.unlock();
      if (cuts_off) return talk.handlers.closed(fail(ErrorCode::unavailable, "the node's stream ended"));
      sent();
      lock.lock();
    }
    const bool whole = talk.finished;
    lock.unlock();
    if (!whole) return talk.handlers.closed(fail(ErrorCode::cancelled, "it was closed"));
    const bool question = order.find("install") == std::string::npos;
    Result<model::UpgradeAnswer> answer;
    {
      const std::lock_guard all(mutex_);
      if (!question) taken_.push_back(order);
      answer = question ? to_question_ : to_order_;
    }
    if (answer) {
      lock.lock();
      talk.changed.wait(lock, [&] { return talk.room > 0 || talk.closed; });
      lock.unlock();
      talk.handlers.data(text_of(*answer));
    }
    talk.handlers.closed(answer ? Status() : forward(answer));
  }

  mutable std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::vector<std::string> taken_;
  Result<model::UpgradeAnswer> to_order_ = model::UpgradeAnswer{.state = model::UpgradeState::installing};
  Result<model::UpgradeAnswer> to_question_ = model::UpgradeAnswer{.state = model::UpgradeState::installing};
};

class UpgradeDeskTest : public ::testing::Test {
 protected:
  UpgradeDeskTest() {
    EXPECT_TRUE(make_directories(carried_));
    EXPECT_TRUE(make_directories(kept_));
    EXPECT_TRUE(write_file_atomic(carried_ / "bridgehead-agent_0.2.0_amd64.deb", new_));
    EXPECT_TRUE(write_file_atomic(kept_ / "bridgehead-agent_0.1.0_amd64.deb", "the old package"));
  }
  void start() {
    desk_ = std::make_unique<UpgradeDesk>(
        *inventory_, agent_, agent_, clock_, PackageShelf::open(carried_, kept_),
        UpgradeDeskOptions{.ask_every = std::chrono::milliseconds(10), .patience = std::chrono::seconds(20)});
  }
  void begin(reconcile::operations::UpgradeState state = {.version = "0.2.0", .before = "0.1.0"}) {
    model::Operation operation{.id = make_id<model::OperationId>(random_),
                               .kind = reconcile::operations::kNodeUpgrade,
                               .target_kind = "node",
                               .target = "n1",
                               .target_name = "node1",
                               .state = OperationState::running};
    reconcile::operations::put_upgrade(operation, state);
    id_ = operation.id;
    auto edit = inventory_->edit();
    edit.create(operation);
    edit.event({.kind = "operation.started", .object_kind = "operation", .object = id_.str(), .message = "begun"});
    EXPECT_TRUE(inventory_->commit(std::move(edit)));
  }
  reconcile::operations::UpgradeState now() {
    return reconcile::operations::upgrade_of(inventory_->find<model::Operation>(id_)->value);
  }
  bool comes(const std::function<bool()>& true_) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!true_() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true_();
  }
  bool failed_with(std::string_view part) {
    return comes([&] { return now().outcome == UpgradeOutcome::failed; }) &&
           now().failure.find(part) != std::string::npos;
  }

  const TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  const std::filesystem::path carried_ = directory_.path() / "packages";
  const std::filesystem::path kept_ = directory_.path() / "kept";
  const std::string new_ = std::string(700'000, 'n');
  bridgehead::testing::ManualClock clock_;
  SystemRandom random_;
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  Agent agent_;
  std::unique_ptr<UpgradeDesk> desk_;
  model::OperationId id_;
};

TEST_F(UpgradeDeskTest, AnAgentGetsTheOrderOnceAndIsAskedThen) {
  start();
  begin();
  ASSERT_TRUE(comes([&] { return now().stage == UpgradeStage::install; }));
  EXPECT_NE(now().since, Timestamp{});
  const auto taken = agent_.taken();
  ASSERT_EQ(taken.size(), 1u);
  const auto end = taken[0].find('\n');
  const auto order = model::upgrade_order_from(taken[0].substr(0, end));
  ASSERT_TRUE(order);
  EXPECT_EQ(order->operation, id_);
  EXPECT_EQ(order->install,
            (model::AgentPackage{.version = "0.2.0", .size = new_.size(), .sha256 = pki::sha256_hex(new_)}));
  EXPECT_EQ(order->before->version, "0.1.0");
  EXPECT_EQ(taken[0].substr(end + 1), new_ + "the old package");
  agent_.answers(model::UpgradeAnswer{}, model::UpgradeAnswer{.state = model::UpgradeState::done});
  ASSERT_TRUE(comes([&] { return now().outcome == UpgradeOutcome::done; }));
  EXPECT_EQ(agent_.taken().size(), 1u);
}

TEST_F(UpgradeDeskTest, WhatTheNodeSaysOfItsFailureIsNoted) {
  agent_.answers(model::UpgradeAnswer{.state = model::UpgradeState::installing},
                 model::UpgradeAnswer{.state = model::UpgradeState::failed, .message = "0.1.0 runs again"});
  start();
  begin();
  EXPECT_TRUE(failed_with("0.1.0 runs again"));
}

TEST_F(UpgradeDeskTest, AnOldAgentIsToBeUpgradedByHandOnce) {
  agent_.answers(fail(ErrorCode::unsupported, "this agent does not know this kind of tunnel"), model::UpgradeAnswer{});
  start();
  begin();
  EXPECT_TRUE(failed_with("its agent 0.1.0 is too old to be upgraded so"));
  EXPECT_EQ(now().hint, "Once by hand, there: apt install ./bridgehead-agent_0.2.0_amd64.deb");
}

TEST_F(UpgradeDeskTest, AnOrderThatIsCutOffIsSentAgain) {
  agent_.cuts_off = true;
  start();
  begin();
  ASSERT_TRUE(comes([&] { return now().stage == UpgradeStage::send; }));
  EXPECT_EQ(now().outcome, UpgradeOutcome::none);
  agent_.cuts_off = false;
  ASSERT_TRUE(comes([&] { return now().stage == UpgradeStage::install; }));
}

TEST_F(UpgradeDeskTest, ANodeThatIsAwayIsWaitedFor) {
  agent_.there = false;
  start();
  begin();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(now().stage, UpgradeStage::wait);
  agent_.there = true;
  EXPECT_TRUE(comes([&] { return now().stage == UpgradeStage::install; }));
}

TEST_F(UpgradeDeskTest, WhatAManagerLeftOpenIsTakenUpAgain) {
  begin({.version = "0.2.0", .before = "0.1.0", .stage = UpgradeStage::send});
  start();
  ASSERT_TRUE(comes([&] { return now().stage == UpgradeStage::install; }));
  desk_.reset();
  agent_.answers(model::UpgradeAnswer{}, model::UpgradeAnswer{.state = model::UpgradeState::done});
  start();
  EXPECT_TRUE(comes([&] { return now().outcome == UpgradeOutcome::done; }));
  EXPECT_EQ(agent_.taken().size(), 1u);
}

TEST_F(UpgradeDeskTest, WithoutThePackageBeforeItGoesOnlyWhenAskedFor) {
  start();
  EXPECT_TRUE(desk_->has("0.1.0"));
  EXPECT_EQ(desk_->version(), "0.2.0");
  begin({.version = "0.2.0", .before = "0.0.9"});
  EXPECT_TRUE(failed_with("no package of version 0.0.9 to go back to"));
  begin({.version = "0.2.0", .before = "0.0.9", .without_way_back = true});
  ASSERT_TRUE(comes([&] { return now().stage == UpgradeStage::install; }));
  EXPECT_EQ(agent_.taken().at(0).find("before"), std::string::npos);
  begin({.version = "0.7.0", .before = "0.1.0"});
  EXPECT_TRUE(failed_with("no agent's package of version 0.7.0 any more"));
}

TEST_F(UpgradeDeskTest, APackageThatWasChangedIsNotSent) {
  start();
  for (const auto& path : {carried_, kept_}) {
    EXPECT_TRUE(write_file_atomic(path / "bridgehead-agent_0.2.0_amd64.deb", "cut off"));
  }
  begin();
  EXPECT_TRUE(failed_with("was changed; restart the manager"));
  EXPECT_TRUE(agent_.taken().empty());
}

}  // namespace
}  // namespace bridgehead::upgrade_desk
