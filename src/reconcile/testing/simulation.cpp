#include "reconcile/testing/simulation.h"

#include "model/codec.h"
#include "model/enum_names.h"

namespace bridgehead::reconcile::testing {

Simulation::Simulation(std::uint64_t seed, std::size_t nodes)
    : engine_(seed), random_(seed), memory_(state::make_memory_store()) {
  lease_watch_ = memory_->watch([this](const state::Commit& commit) { watch_leases(commit); });
  start_manager();
  for (std::size_t i = 0; i < nodes; ++i) {
    model::Node node;
    node.id = make_id<model::NodeId>(random_);
    node.name = fmt::format("node{}", i);
    node.facts.cpus = 64;
    node.facts.memory = Bytes(256_GiB);
    agents.push_back(std::make_unique<FakeAgent>(node.id));
    agents.back()->shared = agents.front()->shared;
    agents.back()->stamps = agents.front()->stamps;
    agents.back()->copies = agents.front()->copies;
    agents.back()->peer = [this](const model::NodeId& id) -> FakeAgent* {
      const auto found = std::find_if(agents.begin(), agents.end(), [&](const auto& agent) { return agent->id == id; });
      return found == agents.end() ? nullptr : found->get();
    };
    auto edit = inventory_->edit();
    edit.create(node);
    require(inventory_->commit(std::move(edit)).has_value(), "a new node can be stored");
  }
}

Simulation::~Simulation() = default;

void Simulation::start_manager() {
  core_.reset();
  commander_.reset();
  inventory_.reset();
  inbox_.clear();
  for (auto& [node, stream] : streams_) stream = {};
  for (auto& agent : agents) agent->lose_stream();
  store_ = std::make_unique<CrashStore>(*memory_);
  auto opened = state::Inventory::open(*store_, clock);
  require(opened.has_value(), "the store can be opened again");
  inventory_ = std::move(*opened);
  commander_ = std::unique_ptr<Commander>(new Commander{.inventory = *inventory_, .random = random_, .clock = clock});
  core_ = std::make_unique<Core>(*inventory_, *this, clock, random_, options, metrics, progress);
}

void Simulation::pass() {
  if (!store_->crashed()) core_->pass(std::exchange(inbox_, {}));
}

void Simulation::connect(FakeAgent& agent) {
  auto& stream = streams_[agent.id];
  if (stream.open) disconnect(agent);
  streams_[agent.id] = {.open = true, .down = {}};
  agent.lose_stream();
  auto report = agent.report(clock.now());
  // What Welcome does: the pools and networks that the node should have.
  for (const auto& pool : inventory_->all<model::Pool>()) {
    if (!pool->value.deleting) agent.pools.insert(pool->value.id);
  }
  report = agent.report(clock.now());
  inbox_.push_back(NodeReported{agent.id, std::move(report)});
}

void Simulation::disconnect(FakeAgent& agent) {
  auto& stream = streams_[agent.id];
  if (!stream.open) return;
  stream = {};
  agent.lose_stream();
  inbox_.push_back(NodeDisconnected{agent.id});
}

void Simulation::restart_agent(FakeAgent& agent) { disconnect(agent); }

void Simulation::deliver_to_agent(FakeAgent& agent, double loss, double doubling) {
  auto& stream = streams_[agent.id];
  if (stream.down.empty()) return;
  const auto message = stream.down.front();
  stream.down.pop_front();
  if (chance(loss)) return;
  message(agent);
  if (chance(doubling)) message(agent);
}

void Simulation::deliver_to_manager(FakeAgent& agent, double loss, double doubling) {
  if (agent.said.empty()) return;
  const auto said = agent.said.front();
  agent.said.pop_front();
  if (!streams_[agent.id].open || chance(loss)) return;
  const int times = chance(doubling) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    switch (said.what) {
      case Said::What::observed: inbox_.push_back(VmObserved{agent.id, said.observed}); break;
      case Said::What::gone: inbox_.push_back(VmGone{agent.id, said.gone}); break;
      case Said::What::report: inbox_.push_back(AssignmentReported{agent.id, said.report}); break;
    }
  }
}

void Simulation::hear_agents() {
  for (auto& agent : agents) {
    if (streams_[agent->id].open) inbox_.push_back(NodeHeard{agent->id});
  }
}

bool Simulation::settle() {
  store_->crash_after({});
  for (int round = 0; round < 3; ++round) {
    // A new stream brings a full report: the truth, and deletions that had been given up.
    for (auto& agent : agents) connect(*agent);
    for (int i = 0; i < 4000; ++i) {
      pass();
      bool busy = false;
      for (auto& agent : agents) {
        while (!streams_[agent->id].down.empty()) deliver_to_agent(*agent, 0, 0);
        busy = busy || agent->busy();
        agent->work(0, false);
        while (!agent->said.empty()) deliver_to_manager(*agent, 0, 0);
        inbox_.push_back(NodeHeard{agent->id});
      }
      if (!busy && inbox_.size() == agents.size()) {
        if (inventory_->open_operations().empty()) break;
        clock.advance(std::chrono::seconds(1));
      }
    }
    clock.advance(options.sweep + std::chrono::seconds(1));  // the sweep's turn
    hear_agents();
    pass();
  }
  return inventory_->open_operations().empty();
}

std::string Simulation::check() const {
  std::string wrong = lease_fault_;
  for (const auto& open : inventory_->open_operations()) {
    const auto& o = open->value;
    wrong +=
        fmt::format("{} {} of '{}' is open: {} cancel={} error={} phase={}\n", o.kind, o.id, o.target_name,
                    model::to_string(o.state), o.cancel_requested, o.error ? o.error->message : "", o.progress.phase);
  }
  std::map<model::VmId, model::NodeId> where;
  for (const auto& agent : agents) {
    wrong += agent->unknown_stamps;
    for (const auto& [vm, guest] : agent->guests) {
      if (where.contains(vm)) wrong += fmt::format("guest {} is on two nodes\n", vm);
      where[vm] = agent->id;
      const auto record = inventory_->find<model::Vm>(vm);
      if (!record || record->value.node != agent->id) {
        wrong += fmt::format("guest {} on node {} is an orphan\n", vm, agent->id);
      } else if (guest.power != record->value.spec.power) {
        wrong += fmt::format("guest '{}' is {} but should be {}\n", record->value.name, model::to_string(guest.power),
                             model::to_string(record->value.spec.power));
      } else if (record->value.lease != guest.lease) {
        wrong += fmt::format("guest '{}' has another lease than its record\n", record->value.name);
      }
    }
    if (agent == agents.front()) {
      if (!agent->copies->empty()) wrong += "a half-made copy is left\n";
      for (const auto& image : *agent->shared) {
        const auto record = inventory_->find<model::Image>(image);
        if (!record || !record->value.node.empty()) wrong += fmt::format("shared image {} is an orphan\n", image);
      }
    }
    for (const auto& disk : agent->disks) {
      const auto record = inventory_->find<model::Image>(disk);
      if (!record || record->value.node != agent->id) wrong += fmt::format("disk {} is an orphan\n", disk);
    }
    for (const auto& image : agent->golden) {
      const auto record = inventory_->find<model::Image>(image);
      if (!record || record->value.node != agent->id) wrong += fmt::format("golden image {} is an orphan\n", image);
    }
    for (const auto& vm : agent->held) wrong += fmt::format("guest {} stands still on node {}\n", vm, agent->id);
    for (const auto& [operation, entry] : agent->journal) {
      wrong += fmt::format("operation {} is still in a journal\n", operation);
    }
  }
  for (const auto& vm : inventory_->all<model::Vm>()) {
    if (!where.contains(vm->value.id)) wrong += fmt::format("VM '{}' is nowhere\n", vm->value.name);
    if (vm->value.deleting) wrong += fmt::format("VM '{}' is still being deleted\n", vm->value.name);
    for (const auto& disk : vm->value.spec.disks) {
      if (!inventory_->find<model::Image>(disk.image))
        wrong += fmt::format("VM '{}' lacks {}\n", vm->value.name, disk.name);
    }
  }
  for (const auto& image : inventory_->all<model::Image>()) {
    const auto& value = image->value;
    if (value.state != model::ImageState::ready) {
      wrong += fmt::format("image '{}' is {}\n", value.name, model::to_string(value.state));
    }
    bool there = false;
    for (const auto& agent : agents) {
      if (value.node.empty()) there = there || agent->shared->contains(value.id);
      there =
          there || (agent->id == value.node && (agent->disks.contains(value.id) || agent->golden.contains(value.id)));
    }
    if (!there) wrong += fmt::format("image '{}' is nowhere\n", value.name);
  }
  const auto claims = memory_->list("name/", 0);
  for (const auto& claim : *claims) {
    const auto kind = claim.key.substr(5, claim.key.find('/', 5) - 5);
    if (!memory_->get(kind + "/" + claim.value)) wrong += fmt::format("the claim {} outlives its record\n", claim.key);
  }
  return wrong;
}

FakeAgent& Simulation::agent_of(const model::NodeId& node) {
  for (auto& agent : agents) {
    if (agent->id == node) return *agent;
  }
  abort_with("no such node");
}

bool Simulation::connected(const model::NodeId& node) const {
  const auto found = streams_.find(node);
  return found != streams_.end() && found->second.open;
}

bool Simulation::push(const model::NodeId& node, ToAgent message) {
  auto& stream = streams_[node];
  if (!stream.open) return false;
  if (!store_->crashed()) stream.down.push_back(std::move(message));  // a dead process sends nothing
  return true;
}

bool Simulation::assign(const model::NodeId& node, const model::Assignment& assignment) {
  return push(node, [assignment](FakeAgent& agent) { agent.assign(assignment); });
}
bool Simulation::cancel(const model::NodeId& node, const model::OperationId& operation) {
  return push(node, [operation](FakeAgent& agent) { agent.cancel(operation); });
}
bool Simulation::acknowledge(const model::NodeId& node, const model::OperationId& operation) {
  return push(node, [operation](FakeAgent& agent) { agent.acknowledge(operation); });
}

void Simulation::watch_leases(const state::Commit& commit) {
  // Of one guest they only grow, and none is ever given twice. (Between guests there is no order: a migration's is
  // taken when it is asked for, and recorded when the guest has arrived.)
  for (const auto& change : commit.changes) {
    if (!change.key.starts_with("vm/") || !change.value) continue;
    const auto vm = model::decode<model::Vm>(*change.value);
    if (!vm || vm->lease == 0) continue;
    auto& known = leases_[vm->id.str()];
    if (known == vm->lease) continue;
    if (vm->lease <= known || leases_seen_.contains(vm->lease)) {
      lease_fault_ += fmt::format("lease {} of '{}' comes after {}, or is another's\n", vm->lease, vm->name, known);
    }
    known = vm->lease;
    leases_seen_.insert(vm->lease);
  }
}

}  // namespace bridgehead::reconcile::testing
