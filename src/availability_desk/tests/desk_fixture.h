// The desk on virtual time, over the real store in memory: nodes that are heard or not, power controls that work, lie
// or don't answer, a manager that is killed.
#pragma once

#include "availability_desk/availability_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "availability/lease_keeper.h"
#include "availability/lease_text.h"
#include "availability_desk/facts.h"
#include "base/ids.h"
#include "base/testing/manual_clock.h"
#include "state/memory_store.h"

namespace bridgehead::availability_desk::testing {

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
  // With access by which a dead node's locks can be freed.
  void use_pool(model::PoolDriver driver) {
    const auto record = inventory_->find<model::Pool>(pool_.id);
    auto value = record->value;
    value.driver = driver;
    value.options = {{"evict_keyring", "/k"}, {"evict_by", "root@h"}, {"evict_key", "/k"}};
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
      for (const auto& wanted : duties.restamp) agent.keeper.restamped(wanted);
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

}  // namespace bridgehead::availability_desk::testing
