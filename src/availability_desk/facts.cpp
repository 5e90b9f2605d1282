#include "availability_desk/facts.h"

#include <algorithm>
#include <map>

#include "model/pool_rules.h"
#include "reconcile/commands/power.h"
#include "reconcile/operations/records.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::availability_desk {

using availability::GuestFacts;
using availability::Holder;
using availability::LeaseBook;
using availability::NodeFacts;
using availability::Renewal;
using availability::Terms;

namespace {

// What a guest needs of a host beside its pools goes by the same comparison.
model::PoolId bridge_as_pool(const std::string& bridge) { return model::PoolId("bridge " + bridge); }

bool loses_power(const state::Inventory& inventory, const model::NodeId& node) {
  const auto operations = inventory.operations_of(node.str());
  return std::any_of(operations.begin(), operations.end(),
                     [](const auto& operation) { return reconcile::is_to_lose_power(operation->value); });
}

bool is_protected_there(const state::Inventory& inventory, const model::NodeId& node) {
  const auto guests = inventory.vms_on_node(node);
  return std::any_of(guests.begin(), guests.end(), [&](const auto& vm) {
    return vm->value.spec.ha == model::HaMode::restart && terms_of(inventory, vm->value) != Terms::own;
  });
}

// Somebody switched it off, and nothing waits for it there.
bool is_off_by_wish(const state::Inventory& inventory, const model::Node& node) {
  return reconcile::is_proven_off(inventory, node) && !is_protected_there(inventory, node.id);
}

// One that can't be read proves nothing.
bool can_fence(const state::Record<model::Bmc>& bmc) { return bmc && bmc->value.driver != "wol"; }

std::set<model::PoolId> pools_of(const state::Inventory& inventory, const model::Vm& vm) {
  std::set<model::PoolId> pools;
  for (const auto& disk : vm.spec.disks) {
    if (const auto image = inventory.find<model::Image>(disk.image)) pools.insert(image->value.pool);
  }
  return pools;
}

// A dead agent holds locks, too, so pools without guests' disks count.
std::vector<model::PoolId> locks_of(const state::Inventory& inventory, const model::NodeId& node) {
  std::vector<model::PoolId> pools;
  for (const auto& pool : inventory.all<model::Pool>()) {
    if (pool->value.nodes.contains(node) && model::can_free_locks(pool->value)) pools.push_back(pool->value.id);
  }
  return pools;
}

bool storage_well(const state::Inventory& inventory, const model::NodeId& node) {
  for (const auto& vm : inventory.vms_on_node(node)) {
    if (terms_of(inventory, vm->value) == Terms::own) continue;
    for (const auto& id : pools_of(inventory, vm->value)) {
      const auto pool = inventory.find<model::Pool>(id);
      if (!pool) continue;
      const auto there = pool->value.nodes.find(node);
      if (there != pool->value.nodes.end() && !there->second.ready) return false;
    }
  }
  return true;
}

}  // namespace

NodeFacts facts_of(const state::Inventory& inventory, const model::Node& node, const scheduler::Limits& limits,
                   Timestamp now) {
  NodeFacts facts{.node = node.id,
                  .maintenance = node.draining || node.to_be_off || loses_power(inventory, node.id) ||
                                 is_off_by_wish(inventory, node) || reconcile::is_waking(inventory, node, now),
                  .schedulable = node.schedulable && node.state == model::NodeState::ready,
                  .power_control = can_fence(inventory.find<model::Bmc>(node.id)),
                  .locks = locks_of(inventory, node.id),
                  .pools = {},
                  .cpus = node.facts.cpus * limits.cpu_overcommit,
                  .memory = {}};
  const auto reserve = std::max(limits.least_reserve, Bytes(node.facts.memory.count() / 100 * limits.reserve_percent));
  facts.memory = node.facts.memory - std::min(node.facts.memory, reserve);
  for (const auto& pool : inventory.all<model::Pool>()) {
    const auto there = pool->value.nodes.find(node.id);
    if (there != pool->value.nodes.end() && there->second.ready && !pool->value.deleting)
      facts.pools.insert(pool->value.id);
  }
  for (const auto& interface : node.facts.interfaces) {
    if (interface.kind == "bridge") facts.pools.insert(bridge_as_pool(interface.name));
  }
  return facts;
}

GuestFacts facts_of(const state::Inventory& inventory, const model::Vm& vm) {
  GuestFacts facts{.vm = vm.id,
                   .wanted = vm.spec.power != model::PowerState::stopped && !vm.deleting,
                   .restart = vm.spec.ha == model::HaMode::restart,
                   .terms = terms_of(inventory, vm),
                   .priority = vm.planning.priority,
                   .cpus = vm.spec.cpus,
                   .memory = vm.spec.memory,
                   .pools = pools_of(inventory, vm),
                   .home = vm.node};
  for (const auto& nic : vm.spec.nics) {
    const auto network = inventory.find<model::Network>(nic.network);
    if (network && network->value.kind == model::NetworkKind::bridge)
      facts.pools.insert(bridge_as_pool(network->value.bridge));
  }
  return facts;
}

std::optional<Holder> holder_of(const model::Vm& vm) {
  if (vm.node.empty() || vm.lease == 0) return std::nullopt;
  return Holder{.node = vm.node, .token = vm.lease};
}

std::string why_not_protected(const state::Inventory& inventory, const model::Vm& vm) {
  for (const auto& id : pools_of(inventory, vm)) {
    const auto pool = inventory.find<model::Pool>(id);
    if (!pool || !model::is_shared(pool->value.driver)) return "a disk of it is on its node alone";
  }
  if (!vm.status.waits_for_manager) {
    return "its node's agent hasn't confirmed yet that it leaves the starting of it to the manager";
  }
  return "";
}

Terms terms_of(const state::Inventory& inventory, const model::Vm& vm) {
  return why_not_protected(inventory, vm).empty() ? Terms::keep : Terms::own;
}

Terms wanted_terms_of(const state::Inventory& inventory, const model::Vm& vm) {
  const auto terms = terms_of(inventory, vm);
  const bool stops =
      terms == Terms::keep && vm.spec.ha == model::HaMode::restart && vm.spec.when_alone == model::WhenAlone::stop;
  return stops ? Terms::stop : terms;
}

std::string why_no_watchdog(const model::Node& node) {
  if (node.facts.watchdog) return "";
  return node.facts.watchdog_message.empty() ? "its agent doesn't say that it has one; is it of before?"
                                             : node.facts.watchdog_message;
}

state::Record<model::Operation> undecided(const state::Inventory& inventory, const model::VmId& vm) {
  for (const auto& record : inventory.operations_of(vm.str())) {
    const auto& operation = record->value;
    if (operation.terminal()) continue;
    namespace kind = model::operation_kind;
    for (const char* one : {kind::vm_create, kind::vm_migrate, kind::image_migrate, kind::vm_delete}) {
      if (operation.kind == one) return record;
    }
  }
  return nullptr;
}

Renewal renewal_of(const state::Inventory& inventory, const model::NodeId& node, const LeaseBook& book) {
  Renewal renewal{
      .storage_well = storage_well(inventory, node), .claims = {}, .held = {}, .released = {}, .refused = {}};
  for (const auto& record : inventory.vms_on_node(node)) {
    const auto& vm = record->value;
    if (vm.lease == 0) continue;
    const auto phase = vm.status.phase;
    renewal.held.push_back({.vm = vm.id,
                            .token = vm.lease,
                            .terms = terms_of(inventory, vm),
                            .source = {},
                            .stamped = true,
                            .running = phase == model::VmPhase::running || phase == model::VmPhase::paused});
  }
  for (const auto& [vm, leases] : book.record().guests) {
    const auto record = inventory.find<model::Vm>(vm);
    const auto holder = record ? holder_of(record->value) : std::nullopt;
    for (const auto& entry : leases.outstanding) {
      if (entry.node != node || holder == Holder{node, entry.token}) continue;
      renewal.released.push_back({.name = {.vm = vm, .token = entry.token}, .stamped = true});
    }
  }
  return renewal;
}

namespace {

bool is(const availability::Held& held, const availability::GrantName& name) {
  return held.vm == name.vm && held.token == name.token;
}

bool holds(const Renewal& spoken, const availability::GrantName& name) {
  return std::any_of(spoken.held.begin(), spoken.held.end(), [&](const auto& held) { return is(held, name); });
}

}  // namespace

Renewal renewal_of(const state::Inventory& inventory, const model::NodeId& node, const LeaseBook& book,
                   const Renewal& spoken) {
  auto renewal = renewal_of(inventory, node, book);
  renewal.instance = spoken.instance;
  renewal.sequence = spoken.sequence;
  renewal.heard = spoken.heard;
  renewal.watchdog = spoken.watchdog;
  renewal.claims = spoken.claims;
  for (const auto& held : spoken.held) {
    const availability::GrantName name{held.vm, held.token};
    const auto known =
        std::find_if(renewal.held.begin(), renewal.held.end(), [&](const auto& one) { return is(one, name); });
    if (known != renewal.held.end()) {
      // What isn't stopped by itself has the terms of the records.
      if (held.terms == Terms::stop) known->terms = Terms::stop;
      known->running = held.running;
      continue;
    }
    renewal.held.push_back(held);
    // The records have another holder. As long as it runs here that doesn't end it; one that was left behind is over.
    if (held.running) {
      std::erase_if(renewal.released, [&](const auto& release) { return release.name == name; });
    } else if (std::none_of(renewal.released.begin(), renewal.released.end(),
                            [&](const auto& release) { return release.name == name; })) {
      renewal.released.push_back({.name = name, .stamped = held.stamped});
    }
  }
  renewal.released.insert(renewal.released.end(), spoken.released.begin(), spoken.released.end());
  return renewal;
}

availability::Answer answer_for(const availability::Answer& answer, const Renewal& spoken) {
  auto told = answer;
  std::erase_if(told.grants, [&](const auto& grant) {
    return grant.terms != Terms::stop && !holds(spoken, {grant.vm, grant.token});
  });
  std::erase_if(told.recalled, [&](const auto& recall) { return !holds(spoken, recall); });
  return told;
}

std::vector<model::Pool> shared_pools_of(const state::Inventory& inventory, const model::NodeId& node) {
  std::vector<model::Pool> pools;
  for (const auto& pool : inventory.all<model::Pool>()) {
    if (model::is_shared(pool->value.driver) && !pool->value.deleting && pool->value.nodes.contains(node)) {
      pools.push_back(pool->value);
    }
  }
  return pools;
}

std::vector<std::string> addresses_of(const state::Inventory& inventory, const model::NodeId& node) {
  std::map<std::string, int> owners;
  const auto each_of = [](const model::Node& one, const auto& use) {
    std::set<std::string> mine;
    for (const auto& interface : one.facts.interfaces) {
      if (interface.kind == "loopback") continue;
      for (const auto& address : interface.addresses) {
        const auto bare = address.substr(0, address.find('/'));
        if (bare.find(':') == std::string::npos) mine.insert(bare);
      }
    }
    for (const auto& address : mine) use(address);
  };
  for (const auto& one : inventory.all<model::Node>()) {
    each_of(one->value, [&](const std::string& address) { ++owners[address]; });
  }
  std::vector<std::string> addresses;
  const auto record = inventory.find<model::Node>(node);
  if (!record) return addresses;
  each_of(record->value, [&](const std::string& address) {
    if (owners[address] == 1) addresses.push_back(address);
  });
  return addresses;
}

}  // namespace bridgehead::availability_desk
