#include "energy_desk/energy_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/testing/manual_clock.h"
#include "state/memory_store.h"

namespace bridgehead::energy_desk {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kIdle = scheduler::PowerModel{}.idle_watts;
constexpr double kBusy = scheduler::PowerModel{}.busy_watts;
constexpr double kAsleep = scheduler::PowerModel{}.asleep_watts;

TEST(Periods, AreHoursDaysAndMonths) {
  const auto time = *parse_rfc3339("2026-12-31T23:59:59.500Z");
  EXPECT_EQ(period_of(time, Length::hour).str(), "2026-12-31T23");
  EXPECT_EQ(period_of(time, Length::day).str(), "2026-12-31");
  EXPECT_EQ(period_of(time, Length::month).str(), "2026-12");
  for (const auto length : {Length::hour, Length::day, Length::month}) {
    const auto span = span_of(period_of(time, length));
    ASSERT_TRUE(span);
    EXPECT_EQ(span->to, *parse_rfc3339("2027-01-01T00:00:00.000Z"));
  }
  EXPECT_EQ(span_of(model::EnergyPeriodId("2028-02"))->to, *parse_rfc3339("2028-03-01T00:00:00.000Z"));
  for (const auto* text : {"", "2026", "2026-13", "2026-02-30", "2026-12-31T24", "2026-12-31T23:59"}) {
    EXPECT_FALSE(span_of(model::EnergyPeriodId(text))) << text;
  }
}

TEST(Periods, GuestsShareWhatTheirNodeTakes) {
  // Idle: by memory alone. Two guests with all of it together have all.
  EXPECT_DOUBLE_EQ(part_of({.memory = 0.25, .cpus = 0}, 1), 0.25);
  EXPECT_DOUBLE_EQ(part_of({.memory = 0.5, .cpus = 1}, 0.4) + part_of({.memory = 0.5, .cpus = 0}, 0.4), 1);
  // Busy: two thirds of 300 W are for being busy.
  EXPECT_DOUBLE_EQ(part_of({.memory = 0, .cpus = 0.5}, kIdle / kBusy), 0.5 * (kBusy - kIdle) / kBusy);
}

TEST(Periods, ManyTimesAwayAreFew) {
  model::EnergyPeriod all;
  const Timestamp start = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);
  for (int i = 0; i < 200; ++i) {
    model::EnergyPeriod one;
    one.away = {{start + hours(i), start + hours(i) + minutes(10)}};
    merge(all, one);
  }
  EXPECT_THAT(all.away, SizeIs(50));
  EXPECT_EQ(all.away.front().from, start);
  EXPECT_EQ(all.away.back().to, start + hours(199) + minutes(10));
}

// Machines' watts as the test says; nothing else of it is asked for.
class FakePower final : public reconcile::PowerPort {
 public:
  Status try_settings(const model::Bmc&, std::string_view) const override { return {}; }
  Status read(const model::NodeId&, std::function<void(Result<reconcile::PowerReading>)>) override { return {}; }
  Status read_watts(const model::NodeId& node, std::function<void(Result<double>)> told) override {
    ++asked[node];
    told(watts.contains(node) ? Result<double>(watts.at(node)) : fail(ErrorCode::unsupported, "no watts"));
    return {};
  }
  Status order_off(const model::NodeId&, std::function<void(Status)>) override { return {}; }
  Status check(const model::NodeId&, std::function<void(Result<reconcile::BmcCheck>)>) override { return {}; }
  Result<std::shared_ptr<reconcile::Tunnel>> open_console(const model::NodeId&, bool,
                                                          reconcile::TunnelHandlers) override {
    return fail(ErrorCode::unsupported, "no console");
  }

  std::map<model::NodeId, double> watts;
  std::map<model::NodeId, int> asked;
};

class EnergyDeskTest : public ::testing::Test {
 protected:
  EnergyDeskTest() {
    for (auto* one : {&a_, &b_}) {
      one->id = make_id<model::NodeId>(random_);
      one->name = one == &a_ ? "a" : "b";
      one->certificate_serial = "1";
      one->facts.cpus = 4;
      one->facts.memory = 8_GiB;
    }
    vm_.id = make_id<model::VmId>(random_);
    vm_.name = "web";
    vm_.node = a_.id;
    vm_.spec.memory = 2_GiB;
    vm_.status.phase = model::VmPhase::running;
    auto edit = inventory_->edit();
    edit.create(a_).create(b_).create(vm_);
    require(inventory_->commit(std::move(edit)).has_value(), "no records");
    inventory_->note_node_state(a_.id, model::NodeState::ready, "");
    inventory_->note_node_state(b_.id, model::NodeState::ready, "");
    begin();
  }

  void begin() {
    desk_ = std::make_unique<EnergyDesk>(
        EnergyDeskParts{.inventory = *inventory_, .store = *store_, .use = use_, .power = power_, .clock = clock_});
    desk_->look();
  }
  // What agents measure, and a look each 15 s. Of a: so many CPUs are busy, half of them with the guest.
  void pass(std::chrono::seconds time, double busy = 0, bool b_there = true) {
    for (auto left = time; left > seconds(0); left -= seconds(15)) {
      clock_.advance(seconds(15));
      use_.note(a_.id, {.cpus = busy, .watts = a_rapl_, .guests = {{.vm = vm_.id, .cpus = busy / 2}}}, 1_GiB,
                clock_.now());
      if (b_there) use_.note(b_.id, {.cpus = 0}, 1_GiB, clock_.now());
      desk_->look();
    }
  }
  reconcile::EnergyReport report(std::chrono::hours last = hours(24)) {
    auto made = desk_->report(clock_.now() - last);
    require(made.has_value(), "no report");
    return *made;
  }
  model::NodeEnergy of(const model::Node& node, std::chrono::hours last = hours(24)) {
    return report(last).nodes[node.id];
  }
  template <typename T, typename Change>
  void change(const decltype(T::id)& id, Change change) {
    const auto record = inventory_->find<T>(id);
    auto value = record->value;
    change(value);
    auto edit = inventory_->edit();
    edit.update(record, value);
    require(inventory_->commit(std::move(edit)).has_value(), "no change");
  }
  void set_bmc(const model::Node& node, model::MachinePower state, const char* driver = "ipmi") {
    auto edit = inventory_->edit();
    model::Bmc bmc;
    bmc.id = node.id;
    bmc.driver = driver;
    bmc.power = {.state = state, .time = clock_.now() + seconds(1)};
    edit.create(bmc);
    require(inventory_->commit(std::move(edit)).has_value(), "no BMC");
  }

  SeededRandom random_{7};
  bridgehead::testing::ManualClock clock_;
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  reconcile::UseHistory use_;
  FakePower power_;
  model::Node a_, b_;
  model::Vm vm_;
  double a_rapl_ = 0;
  std::unique_ptr<EnergyDesk> desk_;
};

TEST_F(EnergyDeskTest, ModelsWhatNobodyMeasures) {
  pass(hours(1), 2);
  const auto made = report();
  const auto a = made.nodes.at(a_.id);
  EXPECT_NEAR(a.used.model, (kIdle + kBusy) / 2 / 1000, 1e-6);
  EXPECT_EQ(a.used.bmc + a.used.rapl, 0);
  EXPECT_NEAR(made.nodes.at(b_.id).used.sum(), kIdle / 1000, 1e-6);
  // A quarter of the memory of what it takes idle, half of what being busy takes.
  EXPECT_NEAR(made.guests.at(vm_.id).used.model, (kIdle / 4 + (kBusy - kIdle) / 2 / 2) / 1000, 1e-6);
  EXPECT_EQ(made.guests.at(vm_.id).name, "web");
  EXPECT_THAT(made.away, IsEmpty());
  EXPECT_EQ(a.unknown, 0);
}

TEST_F(EnergyDeskTest, AMachineWithAProfileIsModelledByIt) {
  auto edit = inventory_->edit();
  edit.create(model::PowerProfile{
      .id = model::PowerProfileId("Acme R1"), .idle_watts = 60, .busy_watts = 240, .off_watts = 2, .created_by = "x"});
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  for (const auto& node : {a_.id, b_.id}) {
    change<model::Node>(node, [](auto& one) { one.facts.machine = "Acme R1"; });
  }
  set_bmc(b_, model::MachinePower::off, "lab");
  inventory_->note_node_state(b_.id, model::NodeState::unreachable, "off");
  pass(hours(1), 2);
  EXPECT_NEAR(of(a_).used.model, 0.150, 1e-6) << "half busy";
  EXPECT_NEAR(report().guests.at(vm_.id).used.model, (60 / 4.0 + 90 / 2.0) / 1000, 1e-6);
  EXPECT_NEAR(of(b_).used.model, 0.002, 1e-6);
  EXPECT_NEAR(of(b_).saved, 0.058, 1e-6);
}

TEST_F(EnergyDeskTest, MeasuredFiguresSayWhoseTheyAre) {
  a_rapl_ = 40;
  pass(hours(1));
  EXPECT_NEAR(of(a_).used.rapl, 0.040, 1e-6);
  EXPECT_EQ(of(a_).used.model, 0);
  set_bmc(a_, model::MachinePower::on);
  power_.watts[a_.id] = 250;
  desk_->look();
  pass(hours(1));
  EXPECT_NEAR(of(a_).used.bmc, 0.250, 1e-6);
  EXPECT_NEAR(of(a_).used.rapl, 0.040, 1e-6) << "what was counted stays as it was";
  EXPECT_NEAR(report().guests.at(vm_.id).used.bmc, 0.250 / 4, 1e-6);
  EXPECT_LE(power_.asked[a_.id], 62) << "once a minute";
}

TEST_F(EnergyDeskTest, ABmcThatMeasuresNothingIsSeldomAsked) {
  set_bmc(a_, model::MachinePower::on);
  pass(hours(1));
  EXPECT_LE(power_.asked[a_.id], 3);
  EXPECT_NEAR(of(a_).used.model, kIdle / 1000, 1e-6);
}

TEST_F(EnergyDeskTest, WhatNobodyKnowsIsNamedAndNotInvented) {
  pass(minutes(30));
  inventory_->note_node_state(b_.id, model::NodeState::unreachable, "gone");
  pass(hours(1), 0, false);
  EXPECT_NEAR(of(b_).unknown, 1, 0.05) << "what was heard last counts for 90 s";
  EXPECT_NEAR(of(b_).used.sum(), 0.5 * kIdle / 1000, 0.1 * kIdle / 1000);
  EXPECT_EQ(of(a_).unknown, 0);
}

TEST_F(EnergyDeskTest, AHostThatIsOffSavesWhatItWouldTakeIdle) {
  set_bmc(b_, model::MachinePower::on);
  power_.watts[b_.id] = 180;
  desk_->look();
  pass(hours(1));
  model::Plan plan;
  plan.id = make_id<model::PlanId>(random_);
  plan.name = "3f9a2c1b";
  plan.state = model::PlanState::applied;
  plan.watts_before = 400;
  plan.watts_after = 240;
  plan.started = plan.finished = clock_.now();
  plan.actions = {
      {.kind = model::PlanActionKind::sleep, .to = b_.id, .to_name = "b", .state = model::PlanActionState::done}};
  auto edit = inventory_->edit();
  edit.create(plan);
  ASSERT_TRUE(inventory_->commit(std::move(edit)));
  change<model::Node>(b_.id, [](auto& node) { node.to_be_off = true; });
  clock_.advance(seconds(1));
  change<model::Bmc>(b_.id, [&](auto& bmc) { bmc.power = {.state = model::MachinePower::off, .time = clock_.now()}; });
  inventory_->note_node_state(b_.id, model::NodeState::unreachable, "off");
  power_.watts[b_.id] = 12;
  clock_.advance(seconds(70));
  desk_->look();
  const auto before = of(b_);
  pass(hours(2), 0, false);
  const auto after = of(b_);
  EXPECT_NEAR(after.off - before.off, 2, 1e-6);
  EXPECT_NEAR(after.saved - before.saved, 2 * (180 - 12) / 1000.0, 0.002) << "against the same host idle, by its BMC";
  EXPECT_NEAR(after.promised - before.promised, 2 * 0.160, 1e-6) << "as the plan said";
  const auto made = report();
  ASSERT_THAT(made.plans, SizeIs(1));
  EXPECT_THAT(made.plans[0].off, ElementsAre("b"));
}

TEST_F(EnergyDeskTest, WithoutABmcThatMeasuresTheModelSaysWhatIsSaved) {
  set_bmc(b_, model::MachinePower::off, "lab");
  inventory_->note_node_state(b_.id, model::NodeState::unreachable, "off");
  pass(hours(1), 0, false);
  EXPECT_NEAR(of(b_).saved, (kIdle - kAsleep) / 1000, 1e-6);
  EXPECT_NEAR(of(b_).used.model, kAsleep / 1000, 1e-6);
  EXPECT_EQ(of(b_).promised, 0) << "no plan did it";
}

// As after kill -9: what wasn't kept yet is lost, what was kept counts once, and the time between is unknown.
TEST_F(EnergyDeskTest, AKilledManagerLosesOneIntervalAndCountsNothingTwice) {
  pass(minutes(32));
  const auto before = of(a_).used.sum();
  clock_.advance(minutes(10));
  begin();
  const auto after = report();
  EXPECT_LE(after.nodes.at(a_.id).used.sum(), before);
  EXPECT_GE(after.nodes.at(a_.id).used.sum(), before - 5 * kIdle / 60 / 1000 - 1e-6);
  ASSERT_THAT(after.away, SizeIs(1));
  EXPECT_EQ(after.away[0].to, clock_.now());
  EXPECT_GE(after.away[0].to - after.away[0].from, minutes(10));
  EXPECT_LE(after.away[0].to - after.away[0].from, minutes(15));
  begin();
  EXPECT_EQ(report().nodes.at(a_.id).used, after.nodes.at(a_.id).used);
  pass(minutes(10));
  EXPECT_NEAR(of(a_).used.sum() - after.nodes.at(a_.id).used.sum(), kIdle / 6 / 1000, 1e-6);
}

TEST_F(EnergyDeskTest, AManagerThatIsKilledSoonNamesThatTimeToo) {
  pass(minutes(2));
  clock_.advance(minutes(10));
  begin();
  ASSERT_THAT(report().away, SizeIs(1));
  EXPECT_EQ(report().away[0].to - report().away[0].from, minutes(12));
}

TEST_F(EnergyDeskTest, AManagerThatStoodStillCountsNothing) {
  pass(minutes(2));
  const auto before = of(a_).used.sum();
  clock_.advance(hours(3));
  desk_->look();
  EXPECT_NEAR(of(a_).used.sum(), before, 1e-8);
  ASSERT_THAT(report().away, SizeIs(1));
  EXPECT_EQ(report().away[0].to - report().away[0].from, hours(3));
}

TEST_F(EnergyDeskTest, HoursBecomeDaysAndMonthsAndTheSumStays) {
  double expected = 0;
  for (int day = 0; day < 100; ++day) {
    pass(minutes(5));
    expected += kIdle * 5 / 60 / 1000;
    clock_.advance(hours(24) - minutes(5));
    desk_->look();
  }
  const auto kept = store_->list("energy_period/");
  ASSERT_TRUE(kept);
  EXPECT_LE(kept->size(), 62U + 4 + 4) << "days of two months, a few hours, a few months";
  EXPECT_NEAR(of(a_, hours(24 * 200)).used.sum(), expected, 1e-6);
  const auto made = report(hours(24 * 200));
  EXPECT_EQ(made.days.front().day, "2026-01");
  EXPECT_NEAR(of(a_, hours(24 * 10)).used.sum(), 10.5 * kIdle * 5 / 60 / 1000, 0.6 * kIdle * 5 / 60 / 1000);
  clock_.advance(hours(24 * 1000));
  desk_->look();
  clock_.advance(hours(1));
  desk_->look();
  EXPECT_NEAR(of(a_, hours(24 * 2000)).used.sum(), 0, 1e-9) << "after two years it is gone";
}

TEST_F(EnergyDeskTest, AStoreThatFailsLosesNothing) {
  // An hour's end while nothing can be kept: what was counted is kept with a later look.
  class Broken final : public state::StateStore {
   public:
    explicit Broken(state::StateStore& real) : real_(real) {}
    Result<state::Entry> get(std::string_view key) const override { return real_.get(key); }
    Result<std::vector<state::Entry>> list(std::string_view prefix, std::size_t limit) const override {
      return real_.list(prefix, limit);
    }
    Result<state::Revision> commit(const state::Transaction& transaction) override {
      if (broken) return fail(ErrorCode::resource_exhausted, "the disk is full");
      return real_.commit(transaction);
    }
    state::Revision revision() const override { return real_.revision(); }
    std::unique_ptr<Watch> watch(state::Watcher watcher) override { return real_.watch(std::move(watcher)); }
    bool broken = false;

   private:
    state::StateStore& real_;
  };
  Broken broken(*store_);
  desk_ = std::make_unique<EnergyDesk>(
      EnergyDeskParts{.inventory = *inventory_, .store = broken, .use = use_, .power = power_, .clock = clock_});
  desk_->look();
  pass(minutes(50));
  broken.broken = true;
  pass(minutes(30));
  broken.broken = false;
  pass(minutes(10));
  desk_.reset();
  begin();
  EXPECT_NEAR(of(a_).used.sum(), kIdle * 1.5 / 1000, 5.1 * kIdle / 60 / 1000);
}

}  // namespace
}  // namespace bridgehead::energy_desk
