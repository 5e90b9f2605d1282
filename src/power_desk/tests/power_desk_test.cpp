// The desk with a real BMC (ipmi_sim) and a real ipmitool: what operations come to, and what is kept of them.
#include "power_desk/power_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>

#include <future>

#include "base/ids.h"
#include "power/testing/ipmi_rig.h"
#include "power/verified_power.h"
#include "reconcile/commands/power.h"
#include "reconcile/sleeping_nodes.h"
#include "state/memory_store.h"

namespace bridgehead::power_desk {
namespace {

using model::MachinePowerAction;
using power::testing::IpmiRig;
using power::testing::kPassword;
using power::testing::Trouble;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::milliseconds kHeartbeat{200};

// The node's agent, as far as it puts its machine to sleep.
class SleepyAgent final : public reconcile::TunnelBroker {
 public:
  explicit SleepyAgent(std::function<void()> sleeps) : sleeps_(std::move(sleeps)) {}
  Result<std::shared_ptr<reconcile::Tunnel>> open(const model::NodeId&, const reconcile::TunnelRequest& request,
                                                  reconcile::TunnelHandlers handlers) override {
    ++asked;
    EXPECT_EQ(request.kind, reconcile::TunnelKind::sleep);
    if (refusal) return fail(*refusal);
    handlers.opened();
    handlers.data("asleep soon");
    handlers.closed({});
    sleeps_();
    return std::make_shared<Over>();
  }
  std::optional<Error> refusal;
  std::atomic<int> asked = 0;

 private:
  struct Over final : reconcile::Tunnel {
    void write(std::string, std::function<void()>) override {}
    void resize(std::uint32_t, std::uint32_t) override {}
    void finish() override {}
    void close(std::string) override {}
    void resume() override {}
  };
  const std::function<void()> sleeps_;
};

class PowerDeskTest : public ::testing::Test {
 protected:
  PowerDeskTest() {
    node_.id = make_id<model::NodeId>(random_);
    node_.name = "rack1-07";
    auto edit = inventory_->edit();
    edit.create(node_);
    require(inventory_->commit(std::move(edit)).has_value(), "no node");
    set_bmc(kPassword);
    options_.heartbeat = kHeartbeat;
    options_.change = {.deadline = std::chrono::seconds(120),
                       .attempt = std::chrono::seconds(40),
                       .pause = std::chrono::milliseconds(20),
                       .ask_again = std::chrono::seconds(10),
                       .off_time = std::chrono::milliseconds(20)};
  }
  ~PowerDeskTest() override { stop_agent(); }

  void set_bmc(const std::string& password, const std::string& sealed_for = {}) {
    const auto& owner = sealed_for.empty() ? node_.id.str() : sealed_for;
    const auto sealed = secrets_->seal(password, pki::record_label("bmc", owner, "password"));
    const auto set = reconcile::set_bmc(commander_, caller_, node_.name,
                                        {.driver = "ipmi",
                                         .address = "127.0.0.1",
                                         .port = rig_.port(),
                                         .user = "operator",
                                         .options = {{"cipher", "3"}},
                                         .password = sealed});
    require(set.has_value(), "the BMC can't be set");
  }
  // Heard of while its machine is on.
  void start_agent() {
    inventory_->note_node_state(node_.id, model::NodeState::ready, "");
    inventory_->note_node_load(node_.id, {});
    agent_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (rig_.is_on()) inventory_->note_node_load(node_.id, {});
        power::pause(kHeartbeat / 4, stop);
      }
    });
  }
  void stop_agent() { agent_ = {}; }
  void start_desk() {
    desk_ = std::make_unique<PowerDesk>(*inventory_, *secrets_, sleepy_, progress_, clock_,
                                        power::PowerTools{.runner = runner_}, options_);
  }
  model::OperationId ask(MachinePowerAction action) {
    const auto asked = reconcile::switch_node(commander_, caller_, node_.name, {.action = action});
    EXPECT_TRUE(asked) << asked.error().describe();
    return asked ? asked->operation.id : model::OperationId();
  }
  model::Operation operation(const model::OperationId& id) const {
    return inventory_->find<model::Operation>(id)->value;
  }
  template <typename Condition>
  void await(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (!condition() && std::chrono::steady_clock::now() < until) power::pause(std::chrono::milliseconds(10), {});
    EXPECT_TRUE(condition());
  }
  model::Operation ended(const model::OperationId& id) {
    await([&] { return operation(id).terminal(); });
    return operation(id);
  }
  model::Operation do_it(MachinePowerAction action) { return ended(ask(action)); }
  model::PowerProof known() const { return inventory_->find<model::Bmc>(node_.id)->value.power; }
  template <typename T>
  Result<T> told(Status (PowerDesk::*how)(const model::NodeId&, std::function<void(Result<T>)>)) {
    std::promise<Result<T>> promise;
    auto future = promise.get_future();
    const auto asked = (desk_.get()->*how)(node_.id, [&](Result<T> answer) { promise.set_value(std::move(answer)); });
    if (!asked) return forward(asked);
    return future.get();
  }
  // So short that something that never comes about is given up soon.
  void be_hasty() {
    options_.change.deadline = std::chrono::seconds(8);
    options_.change.attempt = std::chrono::seconds(4);
    options_.change.ask_again = std::chrono::seconds(1);
  }

  SystemClock clock_;
  SystemRandom random_;
  IpmiRig rig_;
  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create("bridgehead-desk"));
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  std::unique_ptr<pki::SecretBox> secrets_ =
      std::move(*pki::SecretBox::open(directory_.path() / "secrets.key", random_));
  reconcile::Commander commander_{*inventory_, random_, clock_};
  const reconcile::Caller caller_{.actor = "ann"};
  reconcile::ProgressBoard progress_;
  SystemCommandRunner runner_;
  PowerDeskOptions options_;
  model::Node node_;
  bool obeys_ = true;  // when it is told to sleep; its BMC calls that off
  SleepyAgent sleepy_{[this] {
    if (obeys_) rig_.set_on(false);
  }};
  std::unique_ptr<PowerDesk> desk_;
  std::jthread agent_;
};

TEST_F(PowerDeskTest, AMachineThatSleepsIsProvenToAndWakes) {
  const auto bmc = [&] { return inventory_->find<model::Bmc>(node_.id)->value; };
  rig_.set_on(true);
  start_desk();
  start_agent();
  const auto asleep = do_it(MachinePowerAction::sleep);
  EXPECT_EQ(asleep.state, model::OperationState::succeeded) << (asleep.error ? asleep.error->message : "");
  EXPECT_EQ(known().state, model::MachinePower::sleeping);
  EXPECT_EQ(known().evidence, model::PowerEvidence::bmc_and_others);
  EXPECT_EQ(bmc().sleep, model::SleepTrial::untried) << "it hasn't woken yet";
  EXPECT_EQ(rig_.times_off(), 0U) << "no plug was pulled";
  // Heard of with the time since boot, which went on.
  agent_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (rig_.is_on()) inventory_->note_node_load(node_.id, {.uptime_seconds = 10'000});
      power::pause(kHeartbeat / 4, stop);
    }
  });
  EXPECT_EQ(do_it(MachinePowerAction::on).state, model::OperationState::succeeded);
  EXPECT_TRUE(rig_.is_on());
  stop_agent();
  // As the core does when its agent is heard of.
  const auto node = inventory_->find<model::Node>(node_.id);
  auto after = bmc();
  if (after.asleep_since != Timestamp{}) reconcile::note_woken(after, node->value, clock_.now());
  EXPECT_EQ(after.sleep, model::SleepTrial::works);
  EXPECT_GE(after.sleep_wake.count(), 1);
}

TEST_F(PowerDeskTest, AMachineThatDoesNotFallAsleepIsNotTakenForAsleep) {
  be_hasty();
  obeys_ = false;
  rig_.set_on(true);
  start_desk();
  start_agent();
  const auto tried = do_it(MachinePowerAction::sleep);
  EXPECT_EQ(tried.state, model::OperationState::failed);
  EXPECT_EQ(known().state, model::MachinePower::on) << "its agent is still heard";
  const auto bmc = inventory_->find<model::Bmc>(node_.id)->value;
  EXPECT_EQ(bmc.sleep, model::SleepTrial::fails);
  EXPECT_THAT(bmc.sleep_message, HasSubstr("its BMC says on"));
  EXPECT_EQ(sleepy_.asked, 1) << "a machine is asked to sleep once";
}

TEST_F(PowerDeskTest, AnAgentThatCantSaysWhyAndNothingIsChanged) {
  sleepy_.refusal = Error{ErrorCode::unsupported, "its firmware offers no deep sleep (S3)", {}};
  rig_.set_on(true);
  start_desk();
  start_agent();
  const auto tried = do_it(MachinePowerAction::sleep);
  EXPECT_EQ(tried.state, model::OperationState::failed);
  ASSERT_TRUE(tried.error);
  EXPECT_THAT(tried.error->message, HasSubstr("no deep sleep"));
  EXPECT_EQ(inventory_->find<model::Bmc>(node_.id)->value.sleep, model::SleepTrial::untried);
  EXPECT_EQ(known().time, Timestamp{});
}

TEST_F(PowerDeskTest, SwitchesOnOffAndCyclesWithProof) {
  start_desk();
  const auto on = do_it(MachinePowerAction::on);
  EXPECT_EQ(on.state, model::OperationState::succeeded);
  EXPECT_TRUE(rig_.is_on());
  EXPECT_EQ(known().state, model::MachinePower::on);
  EXPECT_EQ(known().evidence, model::PowerEvidence::bmc);

  start_agent();
  const auto cycled = do_it(MachinePowerAction::cycle);
  EXPECT_EQ(cycled.state, model::OperationState::succeeded);
  EXPECT_TRUE(rig_.is_on());
  EXPECT_EQ(rig_.times_off(), 1U);

  const auto off = do_it(MachinePowerAction::off);
  ASSERT_EQ(off.state, model::OperationState::succeeded) << off.error->describe();
  EXPECT_FALSE(rig_.is_on());
  EXPECT_EQ(off.parameters["report"]["evidence"], "bmc_and_others") << "its agent fell silent";
  EXPECT_EQ(off.parameters["report"]["changed"], true);
  EXPECT_EQ(known().state, model::MachinePower::off);
  EXPECT_EQ(known().evidence, model::PowerEvidence::bmc_and_others);
}

TEST_F(PowerDeskTest, ABmcThatLiesIsContradictedByTheAgent) {
  rig_.set_on(true);
  start_agent();
  rig_.set_trouble(Trouble::lying);
  options_.change.deadline = std::chrono::seconds(30);
  options_.change.ask_again = std::chrono::seconds(5);
  start_desk();
  const auto off = do_it(MachinePowerAction::off);
  ASSERT_EQ(off.state, model::OperationState::failed);
  EXPECT_EQ(off.error->code, ErrorCode::failed_precondition);
  EXPECT_THAT(off.error->message, HasSubstr("must not be taken for off"));
  EXPECT_TRUE(rig_.is_on());
  EXPECT_EQ(known().state, model::MachinePower::unknown);
  const auto reading = told(&PowerDesk::read);
  ASSERT_TRUE(reading) << reading.error().describe();
  EXPECT_EQ(reading->state, model::MachinePower::off);
  EXPECT_THAT(reading->warning, HasSubstr("its agent was heard"));
}

TEST_F(PowerDeskTest, AWrongPasswordChangesNothing) {
  set_bmc("wrong-guess");
  rig_.set_on(true);
  start_desk();
  const auto off = do_it(MachinePowerAction::off);
  ASSERT_EQ(off.state, model::OperationState::failed);
  EXPECT_EQ(off.error->code, ErrorCode::unauthenticated);
  EXPECT_THAT(off.error->describe(), Not(HasSubstr("wrong-guess")));
  EXPECT_TRUE(rig_.is_on());
  EXPECT_EQ(known(), model::PowerProof{}) << "as it was";
  const auto reading = told(&PowerDesk::read);
  ASSERT_FALSE(reading);
  EXPECT_EQ(reading.error().code, ErrorCode::failed_precondition) << "the user's own token is good";
  const auto check = told(&PowerDesk::check);
  ASSERT_TRUE(check);
  EXPECT_FALSE(check->good);
  EXPECT_EQ(check->findings.back().subject, "credentials");
  EXPECT_FALSE(check->findings.back().fix.empty());
}

TEST_F(PowerDeskTest, ASilentBmcLeavesTheStateUnknown) {
  rig_.set_on(true);
  start_agent();
  rig_.set_trouble(Trouble::dead);
  be_hasty();
  start_desk();
  const auto off = do_it(MachinePowerAction::off);
  ASSERT_EQ(off.state, model::OperationState::failed);
  EXPECT_THAT(off.error->message, HasSubstr("may be on or off"));
  EXPECT_TRUE(rig_.is_on());
  EXPECT_EQ(known().state, model::MachinePower::unknown);
}

TEST_F(PowerDeskTest, ACycleGoesOnWhereTheManagerWasStopped) {
  rig_.set_on(true);
  options_.change.off_time = std::chrono::minutes(10);  // it is stopped in between
  start_desk();
  const auto id = ask(MachinePowerAction::cycle);
  await([&] { return operation(id).parameters.value("switched_off", false); });
  EXPECT_FALSE(rig_.is_on());
  desk_.reset();
  EXPECT_EQ(operation(id).state, model::OperationState::running);
  start_desk();
  EXPECT_EQ(ended(id).state, model::OperationState::succeeded);
  EXPECT_TRUE(rig_.is_on());
  EXPECT_EQ(rig_.times_off(), 1U) << "it isn't switched off again";
}

TEST_F(PowerDeskTest, WhatWasAskedForWhileNobodyWasThereIsDone) {
  const auto id = ask(MachinePowerAction::on);
  start_desk();
  EXPECT_EQ(ended(id).state, model::OperationState::succeeded);
  EXPECT_TRUE(rig_.is_on());
}

TEST_F(PowerDeskTest, LooksAgainWhetherAnythingRunsThere) {
  rig_.set_on(true);
  const auto id = ask(MachinePowerAction::off);
  model::Vm vm;
  vm.id = make_id<model::VmId>(random_);
  vm.name = "web";
  vm.node = node_.id;
  auto edit = inventory_->edit();
  edit.create(vm);
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  start_desk();
  const auto off = ended(id);
  ASSERT_EQ(off.state, model::OperationState::failed);
  EXPECT_THAT(off.error->message, HasSubstr("web"));
  EXPECT_TRUE(rig_.is_on());
}

TEST_F(PowerDeskTest, CanBeCancelled) {
  rig_.set_on(true);
  rig_.set_trouble(Trouble::dead);
  start_desk();
  const auto id = ask(MachinePowerAction::off);
  await([&] { return operation(id).state == model::OperationState::running; });
  const auto begun = clock_.monotonic();
  ASSERT_TRUE(reconcile::cancel_operation(commander_, caller_, id.str()));
  EXPECT_EQ(ended(id).state, model::OperationState::cancelled);
  EXPECT_LT(clock_.monotonic() - begun, options_.change.attempt) << "it isn't waited for the BMC";
  EXPECT_EQ(known().state, model::MachinePower::unknown);
}

TEST_F(PowerDeskTest, APasswordSealedForAnotherNodeIsNotUsed) {
  set_bmc(kPassword, "another-node");
  start_desk();
  const auto on = do_it(MachinePowerAction::on);
  ASSERT_EQ(on.state, model::OperationState::failed);
  EXPECT_EQ(on.error->code, ErrorCode::data_corrupt);
  EXPECT_FALSE(rig_.is_on());
}

TEST_F(PowerDeskTest, ChecksAndReads) {
  rig_.set_on(true);
  start_agent();
  start_desk();
  const auto reading = told(&PowerDesk::read);
  ASSERT_TRUE(reading) << reading.error().describe();
  EXPECT_EQ(reading->state, model::MachinePower::on);
  EXPECT_EQ(reading->warning, "");
  const auto check = told(&PowerDesk::check);
  ASSERT_TRUE(check);
  EXPECT_TRUE(check->reads && check->switches_on && check->switches_off);
  EXPECT_TRUE(rig_.is_on());
  model::Bmc bmc = inventory_->find<model::Bmc>(node_.id)->value;
  EXPECT_TRUE(desk_->try_settings(bmc, kPassword));
  bmc.options["cipher"] = "0";
  EXPECT_FALSE(desk_->try_settings(bmc, kPassword)) << "takes any password";
}

// Somebody at a console: reads all of it.
struct Visitor {
  std::mutex mutex;
  bool opened = false;
  std::string seen;
  std::optional<Status> closed;
  std::shared_ptr<reconcile::Tunnel> tunnel;

  Status visit(PowerDesk& desk, const model::NodeId& node, bool take_over) {
    auto open = desk.open_console(node, take_over,
                                  {.opened = [this] { set([&] { opened = true; }); },
                                   .data =
                                       [this](const std::string& bytes) {
                                         set([&] { seen += bytes; });
                                         tunnel->resume();
                                       },
                                   .closed = [this](Status result) { set([&] { closed = std::move(result); }); }});
    if (!open) return forward(open);
    tunnel = *open;
    tunnel->resume();
    return {};
  }
  template <typename Change>
  void set(Change change) {
    const std::lock_guard lock(mutex);
    change();
  }
  template <typename T>
  T get(T Visitor::*member) {
    const std::lock_guard lock(mutex);
    return this->*member;
  }
  bool is_open() { return get(&Visitor::opened); }
  bool is_closed() { return get(&Visitor::closed).has_value(); }
};

TEST_F(PowerDeskTest, TheConsoleOfAMachineIsSerialOverLan) {
  Visitor ann, bob, bobs_second, bobs_third;
  start_desk();
  ASSERT_TRUE(ann.visit(*desk_, node_.id, false));
  await([&] { return ann.is_open() || ann.is_closed(); });
  ASSERT_TRUE(ann.is_open());
  ASSERT_EQ(::write(rig_.serial(), "login: ", 7), 7);
  await([&] { return ann.get(&Visitor::seen) == "login: "; });
  // What ipmitool would take for its own commands is the machine's.
  const std::string typed = "root\r~.\xc3\xa4\x03";
  ann.tunnel->write(typed, {});
  std::string heard;
  await([&] {
    char buffer[64];
    pollfd waiting{rig_.serial(), POLLIN, 0};
    const auto got = ::poll(&waiting, 1, 0) == 1 ? ::read(rig_.serial(), buffer, sizeof buffer) : 0;
    if (got > 0) heard.append(buffer, static_cast<std::size_t>(got));
    return heard.size() >= typed.size();
  });
  EXPECT_EQ(heard, typed);

  // One at a time: the manager's own visitors know of each other (Sessions), this one is from elsewhere.
  PowerDesk other(*inventory_, *secrets_, sleepy_, progress_, clock_, power::PowerTools{.runner = runner_}, options_);
  ASSERT_TRUE(bob.visit(other, node_.id, false));
  await([&] { return bob.is_closed(); });
  EXPECT_FALSE(bob.is_open());
  EXPECT_THAT(bob.closed->error().describe(), HasSubstr("somebody else has the machine's console open"));
  ASSERT_TRUE(bobs_second.visit(other, node_.id, true));
  await([&] { return bobs_second.is_open() || bobs_second.is_closed(); });
  EXPECT_TRUE(bobs_second.is_open());

  // Who leaves makes room, also for somebody who comes at once.
  bobs_second.tunnel->close();
  ASSERT_TRUE(bobs_third.visit(other, node_.id, false));
  await([&] { return bobs_third.is_open() || bobs_third.is_closed(); });
  EXPECT_TRUE(bobs_third.is_open()) << bobs_third.closed->error().describe();
  ann.tunnel->close();
  await([&] { return ann.is_closed() && bobs_second.is_closed(); });
}

TEST_F(PowerDeskTest, AConsoleThatCannotBeOpenedSaysWhy) {
  set_bmc("wrong");
  start_desk();
  Visitor ann;
  ASSERT_TRUE(ann.visit(*desk_, node_.id, false));
  await([&] { return ann.is_closed(); });
  EXPECT_FALSE(ann.is_open());
  EXPECT_THAT(ann.closed->error().describe(), HasSubstr("doesn't accept the password"));
  ASSERT_TRUE(reconcile::set_bmc(commander_, caller_, node_.name,
                                 {.driver = "wol", .options = {{"mac", "52:54:00:00:00:01"}}}));
  const auto none = ann.visit(*desk_, node_.id, false);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().describe(), HasSubstr("has no console"));
}

}  // namespace
}  // namespace bridgehead::power_desk
