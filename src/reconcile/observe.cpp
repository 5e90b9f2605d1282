#include "reconcile/observe.h"

#include <algorithm>

#include "model/enum_names.h"
#include "model/json.h"
#include "reconcile/desired.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile {
namespace {

using model::VmPhase;
using operations::internal_operation;
using operations::power_of;

bool has_open_operation(const state::Inventory& inventory, const std::string& target) {
  for (const auto& operation : inventory.operations_of(target)) {
    if (!operation->value.terminal()) return true;
  }
  return false;
}

void phase_event(const Moment&, const model::Vm& vm, const model::VmStatus& status, Changes& changes) {
  changes.event("vm.phase", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' is {}{}{}", vm.name, model::to_string(status.phase),
                            status.message.empty() ? "" : ": ", status.message),
                "manager");
}

// By a migration, which will say so itself.
bool is_on_its_way(const state::Inventory& inventory, const model::VmId& vm, const model::NodeId& node) {
  const auto operations = inventory.operations_of(vm.str());
  return std::any_of(operations.begin(), operations.end(), [&](const auto& record) {
    const auto& operation = record->value;
    return !operation.terminal() && operation.kind == model::operation_kind::vm_migrate &&
           operations::parameter<std::string>(operation, "to", {}) == node.str();
  });
}

// A copy of a guest that lives elsewhere under a newer lease is of the past.
Changes clear_copy(const Moment& moment, const model::Vm& vm, const model::NodeId& node, std::uint64_t lease) {
  Changes changes;
  for (const auto& operation : moment.inventory.operations_of(vm.id.str())) {
    if (!operation->value.terminal() && operation->value.kind == model::operation_kind::vm_clear) return changes;
  }
  auto clear = internal_operation(moment.random, moment.now, model::operation_kind::vm_clear, "vm", vm.id.str(),
                                  vm.name, vm.generation);
  clear.parameters["node"] = node.str();
  clear.parameters["lease"] = lease;
  changes.create(std::move(clear));
  return changes;
}

// Somebody's late message brought back what an operation had removed: it is removed again.
ObserveResult observe_unknown(const Moment& moment, const model::NodeId& node, const model::ObservedVm& observed) {
  ObserveResult result;
  const auto history = moment.inventory.operations_of(observed.vm.str());
  const model::Operation* deleted_by = nullptr;
  for (const auto& record : history) {
    const auto& operation = record->value;
    if (!operation.terminal()) return result;  // being removed
    if (deleted_by == nullptr && operation.parameters.contains("removed")) deleted_by = &operation;
  }
  if (deleted_by == nullptr) {
    result.orphan = true;
    return result;
  }
  auto again = internal_operation(moment.random, moment.now, model::operation_kind::vm_delete, "vm", observed.vm.str(),
                                  deleted_by->target_name, 0);
  again.parameters["removed"] = deleted_by->parameters.at("removed");
  again.parameters["removed"]["vm"]["node"] = node.str();
  result.changes.create(std::move(again));
  return result;
}

void start_again(const Moment& moment, const model::Vm& vm, Changes& changes) {
  auto start = internal_operation(moment.random, moment.now, model::operation_kind::vm_start, "vm", vm.id.str(),
                                  vm.name, vm.generation);
  start.parameters["reason"] = "its node was restarted";
  changes.create(std::move(start));
  changes.event("vm.restart", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' is started again after its node's restart", vm.name), "manager");
}

// An operation of our own brings it back to its spec.
Changes repair(const Moment& moment, const state::Record<model::Vm>& record, std::string_view why) {
  Changes changes;
  const auto& vm = record->value;
  if (vm.deleting) return changes;
  const auto history = moment.inventory.operations_of(vm.id.str());
  for (const auto& operation : history) {
    if (!operation->value.terminal()) return changes;  // it will see to it
  }
  // If it has failed before, a person must look.
  if (!history.empty() && history.front()->value.state == model::OperationState::failed &&
      operations::parameter(history.front()->value, "repair", false)) {
    return changes;
  }
  auto status =
      operations::with_phase(vm.status, VmPhase::failed, fmt::format("{}; it is being made again", why), moment.now);
  changes.set_status(vm.id, status);
  phase_event(moment, vm, status, changes);
  auto again = internal_operation(moment.random, moment.now, model::operation_kind::vm_update, "vm", vm.id.str(),
                                  vm.name, vm.generation);
  again.parameters["repair"] = true;
  changes.create(std::move(again));
  return changes;
}

bool worth_writing(const model::PoolOnNode& before, const model::PoolOnNode& now) {
  if (before.ready != now.ready || before.message != now.message || before.total != now.total ||
      before.abilities != now.abilities || before.mounted != now.mounted || before.targets != now.targets ||
      before.targets_down != now.targets_down) {
    return true;
  }
  const auto a = before.available.count();
  const auto b = now.available.count();
  return (a > b ? a - b : b - a) > std::max(Bytes(64_MiB).count(), now.total.count() / 100);
}

}  // namespace

namespace {

// Its node has a lease that this manager never gave, so its records are those of a backup. Who holds it is right: its
// stamp has replaced only one that was over. On another node than the record's only if it runs: one that stands still
// may have been about to come in, and its source still be running.
std::optional<Changes> adopt_lease(const Moment& moment, const state::Record<model::Vm>& record,
                                   const model::NodeId& node, const model::ObservedVm& observed,
                                   const Circumstances& circumstances) {
  const auto& known = record->value;
  if (known.lease == 0 || known.deleting) return {};
  // Only time has ended that one, but its node keeps the guest: by the records of before its terms were lowered.
  const bool kept = known.past_leases && known.past_leases->by_time && observed.lease == known.past_leases->over;
  if (observed.lease <= known.lease && !kept) return {};
  if (!kept && observed.lease - known.lease > operations::kMostLeasesLost) return {};
  if (known.node != node) {
    const bool lives = known.status.phase == VmPhase::running || known.status.phase == VmPhase::paused;
    if (observed.status.phase != VmPhase::running || !circumstances.home_is_judged || lives) return {};
  }
  if (has_open_operation(moment.inventory, known.id.str())) return {};
  Changes changes;
  auto vm = known;
  vm.generation = std::max(vm.generation, observed.generation) + 1;
  if (kept) {
    // Orders that go by its end may be on their way: it goes on under a new one.
    model::end_lease(vm);
    vm.node = node;
    changes.update_with_lease(record, vm);
    auto stamping = internal_operation(moment.random, moment.now, model::operation_kind::vm_update, "vm", vm.id.str(),
                                       vm.name, vm.generation);
    stamping.parameters["repair"] = true;
    changes.create(std::move(stamping));
  } else {
    model::end_lease(vm);
    vm.node = node;
    vm.lease = observed.lease;
    changes.update(record, vm);
    changes.number_leases_after(observed.lease);
  }
  auto status = observed.status;
  status.observed_generation = observed.generation;
  status.lease = observed.lease;
  status.since = moment.now;
  changes.set_status(vm.id, status);
  const auto there = moment.inventory.find<model::Node>(node);
  changes.event("vm.adopted", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' is on node '{}' under lease {}, of which this manager knew nothing; it is left so",
                            vm.name, there ? there->value.name : node.str(), observed.lease),
                "manager");
  return changes;
}

}  // namespace

bool restarted_since(const model::VmStatus& status, Timestamp booted) { return booted > status.since; }

Changes adopt_power(const Moment& moment, const state::Record<model::Vm>& record, const model::VmStatus& status) {
  Changes changes;
  const auto observed = power_of(status.phase);
  if (!observed || *observed == record->value.spec.power || record->value.deleting) return changes;
  if (operations::is_without_node(record->value)) return changes;  // that it is off there is its node's doing
  if (has_open_operation(moment.inventory, record->value.id.str())) return changes;
  auto vm = record->value;
  vm.spec.power = *observed;
  ++vm.generation;
  changes.update(record, vm);
  changes.event("vm.adopted", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' was {} from inside or on its node, not through Bridgehead; it is left so", vm.name,
                            *observed == model::PowerState::running   ? "started"
                            : *observed == model::PowerState::stopped ? "stopped"
                                                                      : "paused"),
                "manager");
  return changes;
}

ObserveResult observe_vm(const Moment& moment, const model::NodeId& node, const model::ObservedVm& observed,
                         const Circumstances& circumstances) {
  ObserveResult result;
  const auto record = moment.inventory.find<model::Vm>(observed.vm);
  if (!record) return observe_unknown(moment, node, observed);
  const auto& vm = record->value;
  if (vm.node != node) {
    if (is_on_its_way(moment.inventory, vm.id, node)) return result;
    if (auto adopted = adopt_lease(moment, record, node, observed, circumstances)) {
      result.changes = std::move(*adopted);
      return result;
    }
    using enum VmPhase;
    const auto phase = observed.status.phase;
    // One that runs is for a person to judge.
    const bool idle = phase == paused || phase == stopped || phase == failed;
    if (observed.lease < vm.lease && idle) {
      result.changes = clear_copy(moment, vm, node, observed.lease);
    } else {
      result.orphan = true;
    }
    return result;
  }
  if (observed.lease < vm.lease || observed.generation < vm.status.observed_generation) {
    // A message of the past; or, in a report, a guest that somebody has put back or made only half.
    if (circumstances.whole_report)
      result.changes = repair(moment, record, "its node has it in an older form than it should");
    return result;
  }
  if (auto adopted = adopt_lease(moment, record, node, observed, circumstances)) {
    result.changes = std::move(*adopted);
    return result;
  }

  auto status = observed.status;
  status.observed_generation = observed.generation;
  status.lease = observed.lease;
  if (vm.deleting && vm.status.phase != VmPhase::unknown) {
    status.phase = vm.status.phase;
    status.message = vm.status.message;
  }
  // While it is unknown, what counts is since when it has been what it was last known to be.
  const bool same = status.phase == vm.status.phase || status.phase == VmPhase::unknown;
  status.since = same ? vm.status.since : moment.now;
  if (status != vm.status) {
    result.changes.set_status(vm.id, status);
    if (status.phase != vm.status.phase) {
      phase_event(moment, vm, status, result.changes);
    } else if (status.ip_addresses != vm.status.ip_addresses) {
      result.changes.event("vm.addresses", "vm", vm.id.str(), vm.name,
                           fmt::format("VM '{}' has the addresses {}", vm.name, fmt::join(status.ip_addresses, ", ")),
                           "manager");
    }
  }

  const bool stopped = status.phase == VmPhase::stopped && vm.spec.power != model::PowerState::stopped;
  const bool by_itself = vm.spec.autostart || vm.spec.ha == model::HaMode::restart;
  if (stopped && circumstances.booted && by_itself && !operations::is_without_node(vm) &&
      restarted_since(vm.status, *circumstances.booted) && !vm.deleting &&
      !has_open_operation(moment.inventory, vm.id.str())) {
    start_again(moment, vm, result.changes);
  } else {
    result.changes.append(adopt_power(moment, record, status));
  }
  return result;
}

Changes observe_gone(const Moment& moment, const model::NodeId& node, const model::VmId& id) {
  const auto record = moment.inventory.find<model::Vm>(id);
  if (!record || record->value.node != node) return {};
  return repair(moment, record, "it vanished from its node");
}

Changes observe_unreachable(const Moment& moment, const state::Record<model::Vm>& record,
                            const std::string& node_name) {
  Changes changes;
  const auto& vm = record->value;
  if (vm.status.phase == VmPhase::unknown || vm.status.phase == VmPhase::pending) return changes;
  auto status = vm.status;  // with its `since`: see observe_vm
  status.phase = VmPhase::unknown;
  status.message = fmt::format("node '{}' can't be reached", node_name);
  changes.set_status(vm.id, status);
  phase_event(moment, vm, status, changes);
  return changes;
}

Changes resume_deletion(const Moment& moment, const state::Record<model::Vm>& record) {
  Changes changes;
  const auto& vm = record->value;
  if (!vm.deleting || has_open_operation(moment.inventory, vm.id.str())) return changes;
  auto again = internal_operation(moment.random, moment.now, model::operation_kind::vm_delete, "vm", vm.id.str(),
                                  vm.name, vm.generation);
  for (const auto& operation : moment.inventory.operations_of(vm.id.str())) {
    if (operation->value.kind != model::operation_kind::vm_delete) continue;
    again.parameters["keep_disks"] = operations::parameter(operation->value, "keep_disks", false);
    break;
  }
  changes.create(std::move(again));
  return changes;
}

Changes observe_facts(const Moment& moment, const model::NodeId& id, const model::NodeFacts& facts) {
  Changes changes;
  const auto record = moment.inventory.find<model::Node>(id);
  if (!record || record->value.facts == facts) return changes;
  auto node = record->value;
  node.facts = facts;
  changes.update(record, node);
  changes.event("node.facts", "node", id.str(), node.name,
                fmt::format("Node '{}' has {} CPUs and {} memory", node.name, facts.cpus, facts.memory.human()),
                node.name);
  return changes;
}

Changes observe_pool(const Moment& moment, const model::PoolId& id, const PoolReports& reports) {
  Changes changes;
  const auto record = moment.inventory.find<model::Pool>(id);
  if (!record) return changes;
  auto pool = record->value;
  bool changed = false;
  for (const auto& [node, now] : reports) {
    const auto found = pool.nodes.find(node);
    if (!now) {
      if (found == pool.nodes.end()) continue;
      pool.nodes.erase(found);
      changed = true;
    } else if (found == pool.nodes.end() || worth_writing(found->second, *now)) {
      const bool other = found == pool.nodes.end() || found->second.ready != now->ready;
      pool.nodes[node] = *now;
      changed = true;
      const auto record_of_node = moment.inventory.find<model::Node>(node);
      if (other && record_of_node) {
        changes.event("pool.state", "pool", id.str(), pool.name,
                      fmt::format("Pool '{}' is {} on node '{}'{}{}", pool.name, now->ready ? "ready" : "not ready",
                                  record_of_node->value.name, now->message.empty() ? "" : ": ", now->message),
                      record_of_node->value.name);
      }
    }
  }
  if (changed) changes.update(record, pool);
  return changes;
}

NodeVerdict judge_node(const state::Inventory& inventory, const model::Node& node, std::size_t orphans,
                       const model::SecretsOnNode& secrets) {
  if (!secrets.message.empty()) return {model::NodeState::not_ready, "its secret files: " + secrets.message};
  // Others that are on their way to a node that has some don't make it less ready.
  if (secrets.digest.empty() && !secret_files_for_node(inventory, node.id).empty()) {
    return {model::NodeState::not_ready, "it waits for its secret files"};
  }
  if (!node.facts.hypervisor_message.empty()) {
    return {model::NodeState::not_ready, "guests can't run here: " + node.facts.hypervisor_message};
  }
  std::string message;
  std::size_t ready = 0;
  std::size_t broken = 0;
  for (const auto& pool : inventory.all<model::Pool>()) {
    const auto found = pool->value.nodes.find(node.id);
    if (found == pool->value.nodes.end() || pool->value.deleting) continue;
    if (found->second.ready) {
      ++ready;
      continue;
    }
    ++broken;
    message += fmt::format("{}pool '{}' isn't ready: {}", message.empty() ? "" : "; ", pool->value.name,
                           found->second.message);
  }
  if (orphans != 0) {
    message += fmt::format("{}{} guest{} here {} unknown to this cluster and left alone", message.empty() ? "" : "; ",
                           orphans, orphans == 1 ? "" : "s", orphans == 1 ? "is" : "are");
  }
  const bool none_left = broken != 0 && ready == 0;
  return {none_left ? model::NodeState::not_ready : model::NodeState::ready, std::move(message)};
}

}  // namespace bridgehead::reconcile
