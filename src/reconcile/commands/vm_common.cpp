#include "reconcile/commands/vm_common.h"

#include "model/json.h"
#include "reconcile/cluster.h"

namespace bridgehead::reconcile::vm_common {

Result<state::Record<model::Vm>> usable(const state::Inventory& inventory, const std::string& reference, bool placed) {
  auto record = resolve<model::Vm>(inventory, reference);
  if (!record) return record;
  const auto& vm = (*record)->value;
  if (vm.deleting) return fail(ErrorCode::failed_precondition, "VM '{}' is being deleted", vm.name);
  if (placed && vm.node.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("VM '{}' is still being created", vm.name),
                          "Wait until its creation has ended: bh operation list");
  }
  return record;
}

Accepted<model::Vm> change(Draft& draft, const state::Record<model::Vm>& read, model::Vm vm,
                           model::Operation operation) {
  if (vm != read->value) {
    vm.generation = read->value.generation + 1;
    draft.edit.update(read, vm);
  }
  operation.generation = vm.generation;
  const nlohmann::json before = read->value.spec;
  const nlohmann::json after = vm.spec;
  for (const auto& [key, value] : before.items()) {
    if (key == "cloud_init" || after.at(key) == value) continue;  // the seed holds secrets
    operation.parameters["before"][key] = value;
    operation.parameters["after"][key] = after.at(key);
  }
  draft.add(operation);
  return {.object = std::move(vm), .operation = std::move(operation)};
}

Status check_room(Draft& draft, const model::Vm& before, const model::VmSpec& after) {
  if (before.node.empty()) return {};
  const auto had = allocation_of(before.spec);
  const auto wants = allocation_of(after);
  if (wants.cpus <= had.cpus && wants.memory <= had.memory) return {};
  const auto node = draft.inventory.find<model::Node>(before.node);
  if (!node) return {};
  const auto snapshot = node_snapshot(draft.inventory, node->value);
  return scheduler::check_fits(snapshot, draft.limits(), wants.cpus > had.cpus ? wants.cpus - had.cpus : 0,
                               wants.memory > had.memory ? wants.memory - had.memory : Bytes());
}

Status check_may_restart(const state::Inventory& inventory, const model::Vm& vm) {
  for (const auto& disk : vm.spec.disks) {
    const auto image = inventory.find<model::Image>(disk.image);
    const auto pool = image ? inventory.find<model::Pool>(image->value.pool) : nullptr;
    if (pool && model::is_shared(pool->value.driver)) continue;
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("ha: {} of VM '{}' is in a pool that no other node has, so it can't start elsewhere", disk.name,
                    vm.name),
        fmt::format("Bring it into a shared pool first: bh image migrate {} --to POOL",
                    image ? image->value.name : disk.name));
  }
  return {};
}

}  // namespace bridgehead::reconcile::vm_common
