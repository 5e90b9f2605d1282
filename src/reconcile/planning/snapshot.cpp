#include "reconcile/planning/snapshot.h"

#include <algorithm>
#include <unordered_map>

#include "reconcile/cluster.h"
#include "reconcile/node_watts.h"
#include "reconcile/operations/records.h"
#include "reconcile/planning/demand.h"
#include "reconcile/rules.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile {
namespace {

using scheduler::Cluster;
using scheduler::Resource;

// Where nothing says how fast a node's network is.
constexpr double kUnknownNetwork = 125e6;  // bytes per second: 1 Gbit/s
// How fast a guest dirties its memory for each CPU that it keeps busy, where nothing better is known.
constexpr double kDirtied = 20e6;  // bytes per second
// A guest whose move has failed isn't moved again at once.
constexpr std::chrono::minutes kAfterFailure{30};

// Names and sets that occur, each once; its index is what the planner works with.
template <typename T>
class Numbered {
 public:
  explicit Numbered(std::vector<T>& values) : values_(values) {}
  std::uint32_t of(const T& value) {
    const auto [entry, fresh] = index_.emplace(value, static_cast<std::uint32_t>(values_.size()));
    if (fresh) values_.push_back(value);
    return entry->second;
  }

 private:
  std::vector<T>& values_;
  std::map<T, std::uint32_t> index_;
};

double most_cpus(const state::Inventory& inventory) {
  double most = 1;
  for (const auto& node : inventory.all<model::Node>()) {
    most = std::max(most, static_cast<double>(node->value.facts.cpus));
  }
  return most;
}

class Builder {
 public:
  Builder(const SnapshotSource& source, const model::PlanningPolicy& policy)
      : source_(source), inventory_(source.inventory), demand_(source.use, source.now, policy, most_cpus(inventory_)) {}

  Cluster build() {
    add_hosts();
    note_moves();
    add_guests();
    add_rules();
    add_moves();
    scheduler::Amounts now{};
    for (const auto& guest : cluster_.guests) {
      for (std::size_t i = 0; i < now.size(); ++i) now[i] += guest.demand[i];
    }
    cluster_.forecast = demand_.ahead(now, cluster_.forecast_step);
    return std::move(cluster_);
  }

 private:
  void add_hosts() {
    auto nodes = inventory_.all<model::Node>();
    std::erase_if(nodes, [](const auto& node) {  // seen, but never in the cluster
      return node->value.netboot && node->value.certificate_serial.empty();
    });
    std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a->value.id < b->value.id; });
    for (const auto& node : nodes) {
      host_index_.emplace(node->value.id, static_cast<scheduler::HostIndex>(cluster_.hosts.size()));
      cluster_.hosts.push_back(host_of(node->value));
      nodes_.push_back(node);
    }
    for (const auto& record : inventory_.all<model::Pool>()) {
      const auto& pool = record->value;
      if (pool.deleting) continue;
      // A local pool's disks stay where they are; a shared one without locks isn't fit for moves.
      for (const auto& [node, there] : pool.nodes) {
        const auto host = host_index_.find(node);
        if (host == host_index_.end() || !there.ready || !model::is_shared(pool.driver) || !there.abilities.locks)
          continue;
        cluster_.hosts[host->second].pools.push_back(pools_.of(pool.name));
      }
    }
    for (auto& host : cluster_.hosts) std::sort(host.pools.begin(), host.pools.end());
  }

  scheduler::Host host_of(const model::Node& node) {
    scheduler::Host host;
    host.id = node.id.str();
    host.name = node.name;
    host.ready = node.state == model::NodeState::ready;
    host.open = node.schedulable && !node.draining;
    host.evacuate = node.draining;
    if (!host.ready) {
      host.why_not = node.message.empty() ? "it isn't ready" : node.message;
    } else if (!host.open) {
      host.why_not = node.draining ? "it is being emptied" : "it is closed for new guests";
    }
    const scheduler::NodeSnapshot figures{.cpus = node.facts.cpus, .memory = node.facts.memory};
    const auto memory = static_cast<double>(scheduler::usable_memory(figures, source_.limits).count());
    amount(host.limits, Resource::vcpus) = static_cast<double>(scheduler::usable_cpus(figures, source_.limits));
    amount(host.limits, Resource::memory) = memory;
    amount(host.limits, Resource::cpu_used) = node.facts.cpus;
    amount(host.limits, Resource::memory_used) = memory;
    double network = 0;
    for (const auto& interface : node.facts.interfaces) {
      if (interface.kind == "bridge") host.networks.push_back(networks_.of(interface.name));
      if (interface.kind == "ethernet" && interface.up) network += static_cast<double>(interface.speed_mbit) * 1e6 / 8;
    }
    if (network == 0) network = kUnknownNetwork;
    amount(host.limits, Resource::storage_used) = network;
    amount(host.limits, Resource::network_used) = network;
    std::sort(host.networks.begin(), host.networks.end());
    if (node.facts.numa.size() > 1) {
      for (const auto& cell : node.facts.numa) {
        host.cell_cpus = std::max(host.cell_cpus, static_cast<std::uint32_t>(cell.cpus.size()));
        host.cell_memory = std::max(host.cell_memory, static_cast<double>(cell.memory.count()));
      }
    }
    host.cpu_features = features_.of(features_of(node));
    host.rack = node.rack;
    host.power_feed = node.power_feed;
    host.power = node.to_be_off                             ? scheduler::HostPower::off
                 : is_waking(inventory_, node, source_.now) ? scheduler::HostPower::waking
                                                            : scheduler::HostPower::on;
    host.power_since = node.power_since;
    // Where we can't switch it, it is marked all the same, and somebody else does.
    host.power_model = power_model_of(inventory_, node);
    host.power_model.can_be_switched = true;
    if (const auto bmc = inventory_.find<model::Bmc>(node.id)) {
      const auto wake = sleeps(bmc->value) ? bmc->value.sleep_wake : bmc->value.wake;
      if (wake.count() > 0) host.power_model.wake = wake;
    }
    return host;
  }

  // With what guests are run by, so that none goes where it can't.
  static std::vector<std::string> features_of(const model::Node& node) {
    std::vector<std::string> features;
    if (node.facts.virtualization == model::Virtualization::kvm) {
      features = node.facts.cpu_flags;
      features.emplace_back("(kvm)");
    } else {
      features.emplace_back("(emulated)");
    }
    std::sort(features.begin(), features.end());
    features.erase(std::unique(features.begin(), features.end()), features.end());
    return features;
  }

  void note_moves() {
    for (const auto& record : inventory_.open_operations()) {
      const auto& operation = record->value;
      if (operation.target_kind != "vm") continue;
      busy_.emplace(operation.target, operation.kind);
      if (operation.kind != model::operation_kind::vm_migrate) continue;
      to_.emplace(model::VmId(operation.target),
                  model::NodeId(operations::parameter<std::string>(operation, "to", {})));
    }
  }

  void add_guests() {
    auto vms = inventory_.all<model::Vm>();
    std::erase_if(vms, [&](const auto& record) {
      const auto& vm = record->value;
      return vm.node.empty() || vm.spec.power == model::PowerState::stopped || !host_index_.contains(vm.node);
    });
    std::sort(vms.begin(), vms.end(), [](const auto& a, const auto& b) { return a->value.id < b->value.id; });
    for (const auto& vm : vms) {
      cluster_.guests.push_back(guest_of(vm->value));
      auto& host = cluster_.hosts[cluster_.guests.back().host];
      // Somebody has started a guest there since.
      if (host.power == scheduler::HostPower::off) host.power = scheduler::HostPower::on;
    }
    vms_ = std::move(vms);
  }

  scheduler::Guest guest_of(const model::Vm& vm) {
    scheduler::Guest guest;
    guest.id = vm.id.str();
    guest.name = vm.name;
    guest.host = host_index_.at(vm.node);
    guest.priority = vm.planning.priority;
    guest.move_cost = vm.planning.move_cost;
    const auto memory = static_cast<double>(vm.spec.memory.count());
    amount(guest.demand, Resource::vcpus) = vm.spec.cpus;
    amount(guest.demand, Resource::memory) = memory;
    amount(guest.demand, Resource::cpu_used) = kUnmeasuredCpuUse * vm.spec.cpus;
    amount(guest.demand, Resource::memory_used) = memory;
    if (const auto used = demand_.of(vm.id)) {
      amount(guest.demand, Resource::cpu_used) = used->cpus.mean;
      amount(guest.demand, Resource::memory_used) = std::min(used->memory, memory);
      amount(guest.demand, Resource::storage_used) = used->storage;
      amount(guest.demand, Resource::network_used) = used->network;
    }
    const double link = scheduler::Policy{}.link;
    const double dirtying = std::min(kDirtied * amount(guest.demand, Resource::cpu_used), 0.8 * link);
    guest.memory_to_copy = amount(guest.demand, Resource::memory_used) / (1 - dirtying / link);
    guest.downtime = scheduler::Seconds(0.1 + dirtying / link);
    if (vm.spec.cpus > 1) guest.numa_cpus = vm.spec.cpus;
    const auto& node = nodes_[guest.host]->value;
    const bool own_cpu =
        vm.spec.cpu_model == model::CpuModel::host && node.facts.virtualization == model::Virtualization::kvm;
    guest.cpu_features =
        own_cpu ? cluster_.hosts[guest.host].cpu_features
                : features_.of({node.facts.virtualization == model::Virtualization::kvm ? std::string("(kvm)")
                                                                                        : std::string("(emulated)")});
    add_disks(vm, guest);
    add_nics(vm, guest);
    judge_move(vm, guest);
    return guest;
  }

  void stays(scheduler::Guest& guest, std::string why) {
    if (!guest.may_move) return;
    guest.may_move = false;
    guest.why_not = std::move(why);
  }

  void add_disks(const model::Vm& vm, scheduler::Guest& guest) {
    const auto add = [&](const model::PoolId& id) {
      const auto pool = inventory_.find<model::Pool>(id);
      if (!pool) return;
      if (!model::is_shared(pool->value.driver)) {
        return stays(guest, fmt::format("its disks are in pool '{}', which is local to its node", pool->value.name));
      }
      guest.pools.push_back(pools_.of(pool->value.name));
    };
    for (const auto& disk : vm.spec.disks) {
      const auto image = inventory_.find<model::Image>(disk.image);
      if (!image) continue;
      add(image->value.pool);
      if (const auto golden = inventory_.find<model::Image>(image->value.parent)) add(golden->value.pool);
    }
    std::sort(guest.pools.begin(), guest.pools.end());
    guest.pools.erase(std::unique(guest.pools.begin(), guest.pools.end()), guest.pools.end());
  }

  void add_nics(const model::Vm& vm, scheduler::Guest& guest) {
    for (const auto& nic : vm.spec.nics) {
      const auto network = inventory_.find<model::Network>(nic.network);
      if (!network) continue;
      if (network->value.kind == model::NetworkKind::nat) {
        stays(guest, fmt::format("network '{}' translates addresses on its node", network->value.name));
        continue;
      }
      guest.networks.push_back(networks_.of(network->value.bridge));
    }
    std::sort(guest.networks.begin(), guest.networks.end());
    guest.networks.erase(std::unique(guest.networks.begin(), guest.networks.end()), guest.networks.end());
  }

  void judge_move(const model::Vm& vm, scheduler::Guest& guest) {
    if (!vm.planning.may_move) stays(guest, "its owner doesn't let it be moved");
    if (vm.deleting) stays(guest, "it is being deleted");
    if (vm.status.phase != model::VmPhase::running && vm.status.phase != model::VmPhase::paused) {
      stays(guest, "it isn't running now");
    }
    if (!vm.status.snapshots.empty()) stays(guest, "it has snapshots");
    if (const auto busy = busy_.find(vm.id.str());
        busy != busy_.end() && busy->second != model::operation_kind::vm_migrate) {
      stays(guest, fmt::format("{} is being done on it", busy->second));
    }
    judge_by_earlier_moves(vm, guest);
  }

  void judge_by_earlier_moves(const model::Vm& vm, scheduler::Guest& guest) {
    bool newest = true;
    for (const auto& record : inventory_.operations_of(vm.id.str())) {
      const auto& operation = record->value;
      if (operation.kind != model::operation_kind::vm_migrate || !operation.terminal()) continue;
      const auto age = source_.now - operation.finished;
      const bool failed = operation.state == model::OperationState::failed;
      if (std::exchange(newest, false) && failed && age < kAfterFailure) {
        stays(guest, fmt::format("its last move failed: {}", operation.error ? operation.error->message : ""));
      }
      guest.moves_of_a_day += operation.state == model::OperationState::succeeded && age < std::chrono::hours(24);
    }
  }

  void add_rules() {
    for (const auto& record : inventory_.all<model::Rule>()) {
      const auto& rule = record->value;
      scheduler::Rule made{
          .name = rule.name, .kind = rule.kind, .domain = rule.domain, .hard = rule.hard, .weight = rule.weight};
      for (std::size_t i = 0; i < vms_.size(); ++i) {
        if (selects(rule, vms_[i]->value)) made.guests.push_back(static_cast<scheduler::GuestIndex>(i));
      }
      for (const auto& node : rule.nodes) {
        if (const auto host = host_index_.find(node); host != host_index_.end()) made.hosts.push_back(host->second);
      }
      std::sort(made.hosts.begin(), made.hosts.end());
      cluster_.rules.push_back(std::move(made));
    }
  }

  void add_moves() {
    for (std::size_t i = 0; i < vms_.size(); ++i) {
      const auto to = to_.find(vms_[i]->value.id);
      if (to == to_.end()) continue;
      const auto host = host_index_.find(to->second);
      if (host != host_index_.end() && host->second != cluster_.guests[i].host) {
        cluster_.moves.push_back({static_cast<scheduler::GuestIndex>(i), host->second});
      }
    }
  }

  const SnapshotSource& source_;
  const state::Inventory& inventory_;
  Demand demand_;
  Cluster cluster_;
  Numbered<std::string> pools_{cluster_.pools};
  Numbered<std::string> networks_{cluster_.networks};
  Numbered<std::vector<std::string>> features_{cluster_.cpu_features};
  std::unordered_map<model::NodeId, scheduler::HostIndex> host_index_;
  std::vector<state::Record<model::Node>> nodes_;  // by host index
  std::vector<state::Record<model::Vm>> vms_;      // by guest index
  std::unordered_map<std::string, std::string> busy_;
  std::unordered_map<model::VmId, model::NodeId> to_;
};

}  // namespace

Cluster planning_snapshot(const SnapshotSource& source, const model::PlanningPolicy& policy) {
  return Builder(source, policy).build();
}

scheduler::Policy to_scheduler(const model::PlanningPolicy& policy) {
  scheduler::Policy made;
  made.repair = policy.repair;
  made.balance = policy.balance;
  made.consolidate = policy.consolidate;
  made.power = policy.power;
  made.power_at_night_only = policy.power_at_night_only;
  made.night_from = static_cast<int>(policy.night_from);
  made.night_to = static_cast<int>(policy.night_to);
  made.evenness = policy.evenness;
  made.ceiling = policy.ceiling;
  made.move_price = policy.move_price;
  made.most_moves = policy.most_moves;
  made.failures = policy.failures;
  made.moves_per_host = policy.moves_per_node;
  made.horizon = scheduler::Seconds(policy.horizon);
  return made;
}

}  // namespace bridgehead::reconcile
