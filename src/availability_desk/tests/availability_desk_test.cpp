// The desk on virtual time, over the real store in memory: nodes that are heard or not, power controls that work, lie
// or don't answer, a manager that is killed.
#include "availability_desk/availability_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "availability/lease_keeper.h"
#include "availability/lease_text.h"
#include "availability_desk/facts.h"
#include "availability_desk/record_text.h"
#include "base/ids.h"
#include "base/testing/manual_clock.h"
#include "state/memory_store.h"

namespace bridgehead::availability_desk {
namespace {

using availability::BootTime;
using model::MachinePower;
using ::testing::HasSubstr;

struct FakeNode {
  model::NodeId id;
  bool on = true;       // its machine
  bool speaks = true;   // its agent
  bool answers = true;  // to its peers
  std::uint64_t count = 1;
  bool control_lies = false;  // says off and does nothing
  bool control_answers = true;
  bool reads_pool = true;
};

class FakeTunnel final : public reconcile::Tunnel {
 public:
  FakeTunnel(std::string text, reconcile::TunnelHandlers handlers)
      : text_(std::move(text)), handlers_(std::move(handlers)) {}
  void write(std::string, std::function<void()>) override {}
  void resize(std::uint32_t, std::uint32_t) override {}
  void finish() override {}
  void close(std::string) override {}
  void resume() override {
    if (std::exchange(told_, true)) return;
    handlers_.data(text_);
    handlers_.closed({});
  }

 private:
  const std::string text_;
  reconcile::TunnelHandlers handlers_;
  bool told_ = false;
};

class DeskTest : public ::testing::Test,
                 public reconcile::AgentPort,
                 public reconcile::TunnelBroker,
                 public reconcile::PowerPort {
 protected:
  DeskTest() {
    pool_.id = make_id<model::PoolId>(random_);
    pool_.name = "shared";
    pool_.driver = model::PoolDriver::posix;
    auto edit = inventory_->edit();
    for (const auto* name : {"a", "b", "c"}) {
      model::Node node;
      node.id = make_id<model::NodeId>(random_);
      node.name = name;
      node.certificate_serial = "1";
      node.facts.cpus = 4;
      node.facts.memory = 8_GiB;
      node.facts.interfaces = {{.name = "eth0",
                                .mac = {},
                                .kind = "ethernet",
                                .bridge = {},
                                .up = true,
                                .addresses = {fmt::format("10.0.0.{}/24", nodes_.size() + 1)}}};
      edit.create(node);
      edit.create(model::Bmc{
          .id = node.id, .driver = "lab", .address = {}, .user = {}, .options = {}, .password = {}, .power = {}});
      pool_.nodes[node.id] = {.ready = true};
      nodes_.push_back({.id = node.id});
    }
    edit.create(pool_);
    model::Image disk;
    disk.id = make_id<model::ImageId>(random_);
    disk.name = "web-disk0";
    disk.pool = pool_.id;
    vm_.id = make_id<model::VmId>(random_);
    vm_.name = "web";
    vm_.node = nodes_[0].id;
    vm_.lease = edit.take("lease");
    vm_.spec.memory = 1_GiB;
    vm_.spec.ha = model::HaMode::restart;
    vm_.spec.disks = {{.name = "disk0", .image = disk.id}};
    disk.vm = vm_.id;
    vm_.status.phase = model::VmPhase::running;
    vm_.status.waits_for_manager = true;
    edit.create(disk);
    edit.create(vm_);
    require(inventory_->commit(std::move(edit)).has_value(), "no records");
    for (const auto& node : nodes_) inventory_->note_node_state(node.id, model::NodeState::ready, "");
    start_manager();
    pass(60);  // what is learned at the start
  }

  void start_manager() {
    desk_ =
        std::make_unique<AvailabilityDesk>(DeskParts{.inventory = *inventory_,
                                                     .agents = *this,
                                                     .tunnels = *this,
                                                     .power = *this,
                                                     .clock = clock_,
                                                     .random = random_},
                                           DeskOptions{.timing = {}, .limits = {}, .time = [this] { return time_; }});
  }
  void pass(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      clock_.advance(std::chrono::seconds(1));
      time_ += std::chrono::seconds(1);
      for (auto& node : nodes_) {
        if (node.on && node.speaks) inventory_->note_node_load(node.id, {});
        if (node.on && node.speaks) ++node.count;
      }
      run_agents();
      desk_->look();
    }
  }
  FakeNode& node(const model::NodeId& id) {
    return *std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& one) { return one.id == id; });
  }
  model::Vm vm() const { return inventory_->find<model::Vm>(vm_.id)->value; }
  void change_vm(const std::function<void(model::Vm&)>& change) {
    const auto record = inventory_->find<model::Vm>(vm_.id);
    auto value = record->value;
    change(value);
    auto edit = inventory_->edit();
    edit.update(record, value);
    edit.set_status(vm_.id, value.status);
    require(inventory_->commit(std::move(edit)).has_value(), "no change");
  }
  reconcile::NodeAvailability of(std::size_t index) const {
    for (auto& one : desk_->status().nodes) {
      if (one.node == nodes_[index].id) return one;
    }
    return {};
  }
  std::vector<model::Operation> restarts() const {
    std::vector<model::Operation> found;
    for (const auto& one : inventory_->operations_of(vm_.id.str())) {
      if (one->value.kind == model::operation_kind::vm_restart) found.push_back(one->value);
    }
    return found;
  }
  model::Operation begin_move(const model::NodeId& from, const model::NodeId& to, nlohmann::json more = {}) {
    model::Operation move{.id = make_id<model::OperationId>(random_),
                          .kind = model::operation_kind::vm_migrate,
                          .target_kind = "vm",
                          .target = vm_.id.str(),
                          .target_name = "web",
                          .parameters = std::move(more)};
    move.parameters["from"] = from.str();
    move.parameters["to"] = to.str();
    auto edit = inventory_->edit();
    edit.create(move);
    require(inventory_->commit(std::move(edit)).has_value(), "no move");
    return move;
  }
  void end(model::Operation& move) {
    const auto open = inventory_->find<model::Operation>(move.id);
    move = open->value;
    move.state = model::OperationState::cancelled;
    auto edit = inventory_->edit();
    edit.update(open, move);
    require(inventory_->commit(std::move(edit)).has_value(), "no end");
  }
  void use_moosefs() {
    const auto record = inventory_->find<model::Pool>(pool_.id);
    auto value = record->value;
    value.driver = model::PoolDriver::moosefs;
    auto edit = inventory_->edit();
    edit.update(record, value);
    require(inventory_->commit(std::move(edit)).has_value(), "no change");
  }
  void die(std::size_t index) { nodes_[index].on = nodes_[index].answers = false; }

  // AgentPort
  bool connected(const model::NodeId& id) const override {
    return std::any_of(nodes_.begin(), nodes_.end(),
                       [&](const auto& one) { return one.id == id && one.on && one.speaks; });
  }
  bool assign(const model::NodeId&, const model::Assignment&) override { return false; }
  bool cancel(const model::NodeId&, const model::OperationId&) override { return false; }
  bool acknowledge(const model::NodeId&, const model::OperationId&) override { return false; }
  // TunnelBroker
  Result<std::shared_ptr<reconcile::Tunnel>> open(const model::NodeId& from, const reconcile::TunnelRequest& request,
                                                  reconcile::TunnelHandlers handlers) override {
    if (!connected(from)) return fail(ErrorCode::unavailable, "not connected");
    if (request.kind == reconcile::TunnelKind::free_locks) {
      asked_to_free_.push_back({from, request.addresses, vm().node});
      if (!servers_let_go_) return fail(ErrorCode::unavailable, "it is still connected");
      return answer("1", std::move(handlers));
    }
    if (request.kind == reconcile::TunnelKind::claim) {
      if (!pool_writable_) return fail(ErrorCode::unavailable, "the pool hangs");
      if (request.remove_claim) {
        claims_[request.look_for].erase(request.claim);
      } else {
        claims_[request.look_for].insert(request.claim);
      }
      return answer("done", std::move(handlers));
    }
    const auto& other = node(request.look_for);
    const auto text = !request.pool.id.empty() ? std::to_string(other.count) : other.answers ? "reached" : "silent";
    return answer(text, std::move(handlers));
  }
  std::map<model::NodeId, std::string> take_renewals() override { return std::exchange(renewals_, {}); }
  bool answer_renewal(const model::NodeId& id, const std::string& text) override {
    if (!connected(id)) return false;
    const auto told = availability::answer_from(text);
    if (const auto agent = agents_.find(id); agent != agents_.end()) agent->second.keeper.answered(*told, time_);
    return true;
  }
  static std::shared_ptr<reconcile::Tunnel> answer(std::string text, reconcile::TunnelHandlers handlers) {
    auto opened = handlers.opened;
    std::shared_ptr<reconcile::Tunnel> tunnel = std::make_shared<FakeTunnel>(std::move(text), std::move(handlers));
    opened();
    return tunnel;
  }
  // PowerPort
  Status try_settings(const model::Bmc&, std::string_view) const override { return {}; }
  Status read(const model::NodeId& id, std::function<void(Result<reconcile::PowerReading>)> told) override {
    const auto& one = node(id);
    if (!one.control_answers) {
      told(fail(ErrorCode::unavailable, "nobody answers"));
    } else {
      const bool off = one.control_lies || !one.on;
      told(reconcile::PowerReading{.state = off ? MachinePower::off : MachinePower::on, .warning = {}});
    }
    return {};
  }
  Status read_watts(const model::NodeId&, std::function<void(Result<double>)>) override {
    return fail(ErrorCode::unsupported, "it measures no watts");
  }
  Status order_off(const model::NodeId& id, std::function<void(Status)> told) override {
    auto& one = node(id);
    ++orders_;
    if (one.control_answers && !one.control_lies) one.on = one.answers = false;
    told(one.control_answers ? Status() : fail(ErrorCode::unavailable, "nobody answers"));
    return {};
  }
  Status check(const model::NodeId&, std::function<void(Result<reconcile::BmcCheck>)>) override { return {}; }
  Result<std::shared_ptr<reconcile::Tunnel>> open_console(const model::NodeId&, bool,
                                                          reconcile::TunnelHandlers) override {
    return fail(ErrorCode::unsupported, "no console");
  }

  // The agent of a node with a watchdog, which holds by `stop` what it is told to. Its guest runs until it says stop.
  struct StoppingAgent {
    availability::LeaseKeeper keeper;
    bool guest_runs = true;
    std::optional<BootTime> stopped_at;
  };
  void give_watchdog(std::size_t index) {
    const auto& id = nodes_[index].id;
    agents_.emplace(id, StoppingAgent{.keeper = {{.node = id, .instance = 77, .watchdog = true}, {}, {}, {}, {}}});
  }
  void run_agents() {
    for (auto& [id, agent] : agents_) {
      const bool holds = agent.keeper.token(vm_.id).has_value();
      if (holds && agent.guest_runs && !agent.stopped_at) agent.keeper.started(vm_.id);
      if (node(id).reads_pool) {
        const auto& found = claims_[id];
        agent.keeper.pool_read({found.begin(), found.end()}, time_, time_);
      }
      const auto duties = agent.keeper.tick(time_, true);
      if (duties.renew && connected(id)) renewals_[id] = availability::text_of(*duties.renew);
      for (const auto& vm : duties.stop) {
        agent.keeper.stopped(vm);
        agent.stopped_at = time_;
      }
    }
  }
  void set_when_alone(model::WhenAlone wish) {
    change_vm([&](model::Vm& vm) { vm.spec.when_alone = wish; });
  }
  std::string terms() const {
    for (const auto& guest : desk_->status().guests) {
      if (guest.vm == vm_.id) return guest.terms;
    }
    return "?";
  }

  std::map<model::NodeId, StoppingAgent> agents_;
  std::map<model::NodeId, std::string> renewals_;
  std::map<model::NodeId, std::set<std::uint64_t>> claims_;
  bool pool_writable_ = true;
  SeededRandom random_{7};
  bridgehead::testing::ManualClock clock_;
  BootTime time_{std::chrono::hours(1)};
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_ = std::move(*state::Inventory::open(*store_, clock_));
  std::vector<FakeNode> nodes_;
  model::Pool pool_;
  model::Vm vm_;
  int orders_ = 0;
  struct AskedToFree {
    model::NodeId by;
    std::vector<std::string> addresses;
    model::NodeId guest_was_on;
  };
  std::vector<AskedToFree> asked_to_free_;
  bool servers_let_go_ = true;
  std::unique_ptr<AvailabilityDesk> desk_;
};

TEST_F(DeskTest, NothingHappensWhileAllAreHeard) {
  pass(120);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_EQ(of(0).stage, "well");
  ASSERT_EQ(desk_->status().guests.size(), 1U);
  EXPECT_EQ(desk_->status().guests[0].terms, "keep");
}

TEST_F(DeskTest, ADeadNodesGuestStartsElsewhere) {
  die(0);
  pass(60);
  EXPECT_GT(orders_, 0);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_GT(vm().lease, vm_.lease);
  EXPECT_EQ(vm().status.phase, model::VmPhase::starting);
  ASSERT_EQ(restarts().size(), 1U);
  EXPECT_EQ(of(0).stage, "down");
  // Once, and its node's return changes nothing.
  const auto there = vm();
  nodes_[0].on = nodes_[0].answers = true;
  pass(60);
  EXPECT_EQ(of(0).stage, "well");
  EXPECT_EQ(vm().node, there.node);
  EXPECT_EQ(vm().lease, there.lease);
}

TEST_F(DeskTest, ADeadNodesLocksAreFreedBeforeItsGuestStartsElsewhere) {
  use_moosefs();
  die(0);
  pass(60);
  ASSERT_EQ(asked_to_free_.size(), 1U);
  EXPECT_NE(asked_to_free_[0].by, nodes_[0].id);
  EXPECT_EQ(asked_to_free_[0].addresses, std::vector<std::string>{"10.0.0.1"});
  EXPECT_EQ(asked_to_free_[0].guest_was_on, nodes_[0].id);
  EXPECT_EQ(orders_, 1);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, ServersThatDontLetGoAreAskedAgainButNotForever) {
  use_moosefs();
  servers_let_go_ = false;
  die(0);
  pass(70);
  EXPECT_GE(asked_to_free_.size(), 2U);
  EXPECT_EQ(vm().node, nodes_[0].id);
  pass(60);
  EXPECT_NE(vm().node, nodes_[0].id) << "its start is tried until they let go by themselves";
}

TEST_F(DeskTest, NobodyMayRunItBetweenOffAndItsNewPlace) {
  change_vm([](model::Vm& vm) { vm.spec.memory = 100_GiB; });  // fits nowhere
  die(0);
  pass(60);
  EXPECT_EQ(vm().lease, 0U);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_TRUE(restarts().empty());
  EXPECT_THAT(desk_->status().guests.at(0).waits_for, HasSubstr("of memory"));
  change_vm([](model::Vm& vm) { vm.spec.memory = 1_GiB; });
  pass(5);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_GT(vm().lease, vm_.lease);
}

// Beside `web` on the node that dies, others that hold a lease, and rules.
class DeskRulesTest : public DeskTest {
 protected:
  model::VmId add_guest(const std::string& name, std::size_t on, bool ha) {
    model::Vm other = vm_;
    other.id = make_id<model::VmId>(random_);
    other.name = name;
    other.node = nodes_[on].id;
    other.spec.ha = ha ? model::HaMode::restart : model::HaMode::none;
    other.planning.priority = -1;  // after web
    auto edit = inventory_->edit();
    other.lease = edit.take("lease");
    edit.create(other);
    require(inventory_->commit(std::move(edit)).has_value(), "no guest");
    return other.id;
  }
  void add_rule(model::RuleKind kind, std::vector<model::VmId> guests, std::vector<std::size_t> on = {}) {
    model::Rule rule;
    rule.id = make_id<model::RuleId>(random_);
    rule.name = "rule";
    rule.kind = kind;
    rule.vms = std::move(guests);
    for (const auto index : on) rule.nodes.push_back(nodes_[index].id);
    auto edit = inventory_->edit();
    edit.create(rule);
    require(inventory_->commit(std::move(edit)).has_value(), "no rule");
  }
  void break_rules() {
    model::PlanningPolicy policy;
    policy.id = make_id<model::PolicyId>(random_);
    policy.restart_against_rules = true;
    auto edit = inventory_->edit();
    edit.create(policy);
    require(inventory_->commit(std::move(edit)).has_value(), "no policy");
  }
  model::NodeId where(const model::VmId& id) const { return inventory_->find<model::Vm>(id)->value.node; }
  std::string waits_for(const model::VmId& id) const {
    for (const auto& guest : desk_->status().guests) {
      if (guest.vm == id) return guest.waits_for;
    }
    return "";
  }
};

TEST_F(DeskRulesTest, GuestsThatAreKeptApartStartApart) {
  const auto beside = add_guest("beside", 1, true);
  const auto second = add_guest("second", 0, true);
  add_rule(model::RuleKind::apart, {vm_.id, beside, second});
  pass(5);
  die(0);
  pass(60);
  EXPECT_EQ(where(vm_.id), nodes_[2].id) << "the other one is taken";
  EXPECT_EQ(where(second), nodes_[0].id) << "there is no third";
  EXPECT_THAT(waits_for(second), ::testing::AllOf(HasSubstr("node 'b' is beside another guest of rule 'rule'"),
                                                  HasSubstr("node 'c' is beside")));
  break_rules();
  pass(5);
  EXPECT_NE(where(second), nodes_[0].id);
  EXPECT_EQ(waits_for(second), "");
}

TEST_F(DeskRulesTest, GuestsThatBelongTogetherStartTogether) {
  break_rules();  // nothing needs to be broken
  const auto second = add_guest("second", 0, true);
  add_rule(model::RuleKind::together, {vm_.id, second});
  pass(5);
  die(0);
  pass(60);
  EXPECT_NE(where(vm_.id), nodes_[0].id);
  EXPECT_EQ(where(second), where(vm_.id));
}

TEST_F(DeskRulesTest, AGuestThatIsBoundToItsDeadNodeStaysOff) {
  add_rule(model::RuleKind::on_hosts, {vm_.id}, {0});
  die(0);
  pass(60);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, 0U);
  EXPECT_THAT(waits_for(vm_.id), HasSubstr("not among the nodes of rule 'rule'"));
  nodes_[0].on = nodes_[0].answers = true;
  pass(60);
  EXPECT_GT(vm().lease, 0U) << "its node is back";
}

TEST_F(DeskTest, AGuestWithoutHaWaitsForItsNode) {
  change_vm([](model::Vm& vm) { vm.spec.ha = model::HaMode::none; });
  change_vm([](model::Vm& vm) { vm.status.waits_for_manager = false; });
  pass(3);
  die(0);
  pass(120);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, vm_.lease);
}

TEST_F(DeskTest, AGuestThatItsAgentMayStartByItselfStays) {
  change_vm([](model::Vm& vm) { vm.status.waits_for_manager = false; });
  pass(3);
  die(0);
  pass(120);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_THAT(desk_->status().guests.at(0).not_protected, HasSubstr("agent"));
}

TEST_F(DeskTest, AHungAgentIsSwitchedOffAfterAWhile) {
  nodes_[0].speaks = false;
  pass(20);
  EXPECT_EQ(orders_, 0);
  pass(60);
  EXPECT_FALSE(nodes_[0].on);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, APowerControlThatLiesIsFoundOutAndAPersonAsked) {
  nodes_[0].speaks = false;
  nodes_[0].control_lies = true;
  pass(120);
  EXPECT_TRUE(nodes_[0].on);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_TRUE(of(0).distrusted);
  EXPECT_THAT(of(0).question, HasSubstr("answers other nodes"));
  // It comes back by itself: the question is gone, the guest was never touched.
  nodes_[0].speaks = true;
  pass(3);
  EXPECT_EQ(of(0).question, "");
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_FALSE(desk_->confirm_off(nodes_[0].id, "anna"));
  EXPECT_TRUE(desk_->trust(nodes_[0].id, "anna"));
  EXPECT_FALSE(of(0).distrusted);
  EXPECT_FALSE(desk_->trust(nodes_[0].id, "anna"));
}

TEST_F(DeskTest, APersonsWordStandsInForAPowerControlThatIsSilent) {
  nodes_[0].control_answers = false;
  die(0);
  pass(90);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_THAT(of(0).question, HasSubstr("Switch it off by hand"));
  EXPECT_FALSE(desk_->confirm_off(nodes_[1].id, "anna"));
  ASSERT_TRUE(desk_->confirm_off(nodes_[0].id, "anna"));
  EXPECT_EQ(vm().lease, 0U);  // kept before it returned
  pass(10);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, AKilledManagerGoesOnWhereverItWas) {
  for (int moment = 0; moment < 40; ++moment) {
    SCOPED_TRACE(moment);
    const auto before = vm();
    const auto home = before.node;
    node(home).on = node(home).answers = false;
    pass(moment);
    start_manager();
    pass(100);
    EXPECT_NE(vm().node, home);
    EXPECT_GT(vm().lease, before.lease);
    node(home).on = node(home).answers = true;
    // As the agents would: what was asked for is done.
    for (const auto& one : inventory_->operations_of(vm_.id.str())) {
      if (one->value.terminal()) continue;
      auto done = one->value;
      done.state = model::OperationState::succeeded;
      auto edit = inventory_->edit();
      edit.update(one, done);
      ASSERT_TRUE(inventory_->commit(std::move(edit)));
    }
    change_vm([](model::Vm& vm) { vm.status.phase = model::VmPhase::running; });
    pass(700);  // so long that the guest isn't blamed for it, and no flapping either
  }
}

TEST_F(DeskTest, ManyAtOnceWaitForAPerson) {
  die(0);
  die(1);
  pass(90);
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(vm().lease, vm_.lease);
  EXPECT_THAT(desk_->status().storm_question, HasSubstr("2 of 3 nodes"));
  ASSERT_TRUE(desk_->go_on("anna"));
  pass(90);
  EXPECT_EQ(vm().node, nodes_[2].id);
  EXPECT_FALSE(desk_->go_on("anna"));
}

TEST_F(DeskTest, WhatIsUndecidedIsWaitedFor) {
  auto move = begin_move(nodes_[1].id, nodes_[2].id);
  pass(3);
  die(0);
  pass(90);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_TRUE(restarts().empty());
  EXPECT_THAT(desk_->status().guests.at(0).waits_for, HasSubstr("vm.migrate"));
  end(move);
  pass(10);
  EXPECT_NE(vm().node, nodes_[0].id);
}

TEST_F(DeskTest, AMoveWhoseSourceIsOffIsCancelledAndItsEndWaitedFor) {
  auto move = begin_move(nodes_[0].id, nodes_[1].id);
  pass(3);
  die(0);
  pass(10);
  EXPECT_FALSE(inventory_->find<model::Operation>(move.id)->value.cancel_requested) << "nothing is proven yet";
  pass(80);
  EXPECT_TRUE(inventory_->find<model::Operation>(move.id)->value.cancel_requested);
  EXPECT_EQ(vm().lease, 0U);
  EXPECT_TRUE(restarts().empty()) << "the target may have it";
  end(move);
  pass(10);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_EQ(restarts().size(), 1U);
}

TEST_F(DeskTest, AMoveWithItsDisksIsForAPerson) {
  auto move =
      begin_move(nodes_[0].id, nodes_[1].id,
                 {{"copies", nlohmann::json::array({{{"image", "i"}, {"from", "p"}, {"to", "q"}, {"room", 1}}})}});
  pass(3);
  die(0);
  pass(90);
  EXPECT_FALSE(inventory_->find<model::Operation>(move.id)->value.cancel_requested);
}

class AloneTest : public DeskTest {
 protected:
  AloneTest() {
    auto edit = inventory_->edit();
    for (const auto& one : nodes_) edit.remove(inventory_->find<model::Bmc>(one.id));
    require(inventory_->commit(std::move(edit)).has_value(), "no change");
    set_when_alone(model::WhenAlone::stop);
    give_watchdog(0);
    pass(10);
  }
  StoppingAgent& agent() { return agents_.at(nodes_[0].id); }
  void cut_off() {
    nodes_[0].speaks = nodes_[0].answers = nodes_[0].reads_pool = false;
    cut_at_ = time_;
  }
  BootTime cut_at_;
};

TEST_F(AloneTest, AGuestThatWasStoppedStartsElsewhereWithoutPowerControl) {
  EXPECT_EQ(terms(), "stop");
  cut_off();
  pass(9);
  ASSERT_TRUE(agent().stopped_at) << "four seconds before twelve have passed";
  EXPECT_EQ(vm().node, nodes_[0].id);
  for (int second = 0; second < 120 && vm().node == nodes_[0].id; ++second) pass(1);
  EXPECT_NE(vm().node, nodes_[0].id);
  EXPECT_GT(time_ - cut_at_, availability::lapses_after({}));
  EXPECT_TRUE(of(0).question.empty());
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(claims_[nodes_[0].id].size(), 0U) << "it is over";
}

TEST_F(AloneTest, AManagerThatIsAwayStopsNobody) {
  desk_.reset();
  for (int second = 0; second < 60; ++second) {
    time_ += std::chrono::seconds(1);
    run_agents();
  }
  EXPECT_FALSE(agent().stopped_at);
  start_manager();
  pass(60);
  EXPECT_FALSE(agent().stopped_at);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(terms(), "stop");
}

TEST_F(AloneTest, WithoutAClaimInThePoolNothingEndsByTime) {
  pool_writable_ = false;
  nodes_[0].speaks = nodes_[0].answers = false;
  pass(120);
  EXPECT_FALSE(agent().stopped_at) << "it reads in the pool that nobody claims its guests";
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_THAT(of(0).question, HasSubstr("no other node could write"));
}

TEST_F(AloneTest, KeepCountsAtOnce) {
  set_when_alone(model::WhenAlone::keep);
  cut_off();
  pass(1);
  EXPECT_EQ(terms(), "keep");
  pass(120);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_FALSE(of(0).question.empty());
}

TEST_F(AloneTest, ANodeThatComesBackInTimeKeepsItsGuest) {
  nodes_[0].speaks = nodes_[0].answers = false;
  pass(25);
  nodes_[0].speaks = nodes_[0].answers = true;
  pass(30);
  EXPECT_EQ(vm().node, nodes_[0].id);
  EXPECT_EQ(claims_[nodes_[0].id].size(), 0U);
}

TEST_F(DeskTest, WithoutAWatchdogAGuestIsKeptAndTheReasonTold) {
  set_when_alone(model::WhenAlone::stop);
  pass(10);
  EXPECT_EQ(terms(), "keep");
  EXPECT_THAT(desk_->status().guests.at(0).not_stopped, HasSubstr("is it of before?"));
}

TEST(LeaseText, ReadsWhatItWrote) {
  using namespace availability;
  const model::VmId web("web");
  const Holder other{model::NodeId("b"), 8};
  const Renewal renewal{.instance = 3,
                        .sequence = 4,
                        .heard = 2,
                        .watchdog = true,
                        .storage_well = false,
                        .claims = {5},
                        .held = {{.vm = web,
                                  .token = 9,
                                  .terms = Terms::stop,
                                  .kind = GrantKind::incoming,
                                  .source = other,
                                  .stamped = true,
                                  .running = true}},
                        .released = {{.name = {web, 7}, .stamped = true}},
                        .refused = {{.vm = web, .token = 6, .found = {.holder = other, .source = other}}}};
  const auto again = renewal_from(text_of(renewal));
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->held, renewal.held);
  EXPECT_EQ(again->released, renewal.released);
  EXPECT_EQ(again->refused, renewal.refused);
  EXPECT_EQ(std::tuple(again->instance, again->sequence, again->heard, again->watchdog, again->storage_well),
            std::tuple(3U, 4U, 2U, true, false));
  EXPECT_EQ(again->claims, renewal.claims);
  BootRecord ends{{{GrantName{web, 9}, BootTime(Span(1234))}}};
  EXPECT_EQ(*boot_record_from(text_of(ends, "boot"), "boot"), ends);
  EXPECT_TRUE(boot_record_from(text_of(ends, "boot"), "another")->ends.empty());
  EXPECT_FALSE(answer_from("[]"));
  EXPECT_FALSE(renewal_from(R"({"held":[{"vm":1}]})"));
}

TEST(RecordText, ReadsWhatItWrote) {
  availability::AvailabilityRecord record;
  record.book.next = 12;
  auto& leases = record.book.guests[model::VmId("v")];
  leases.outstanding = {{.node = model::NodeId("n"),
                         .token = 9,
                         .after = 4,
                         .terms = availability::Terms::own,
                         .kind = availability::GrantKind::incoming,
                         .source = availability::Holder{model::NodeId("m"), 8},
                         .stamped = true,
                         .recalled = true}};
  leases.over = 3;
  leases.ended = {{model::NodeId("m"), 5}};
  record.nodes[model::NodeId("n")] = {
      .fencing = true, .down = true, .distrusted = true, .finding = "it \"hangs\"", .claim = 5, .dead = true};
  record.guests[model::VmId("v")] = {.home = model::NodeId("n"), .deaths = 2, .given_up = true};
  const auto read = record_of(text_of(record));
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(*read, record);
  EXPECT_FALSE(record_of("{}"));
  EXPECT_FALSE(record_of("[1"));
}

}  // namespace
}  // namespace bridgehead::availability_desk
