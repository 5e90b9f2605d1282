#include "availability_desk/guest_moves.h"

#include "availability_desk/facts.h"
#include "reconcile/operations/disk_copies.h"
#include "reconcile/operations/records.h"

namespace bridgehead::availability_desk {

using availability::Holder;
using availability::Place;
using reconcile::operations::internal_operation;

namespace {

std::string name_of(const state::Inventory& inventory, const model::NodeId& node) {
  const auto record = inventory.find<model::Node>(node);
  return record ? record->value.name : node.str();
}

// What the dead node was at. What only waits for its turn finds the guest in its new place.
void end_running(const Writing& writing, const model::Vm& vm, const std::string& old_node) {
  for (const auto& record : writing.inventory.operations_of(vm.id.str())) {
    auto operation = record->value;
    if (operation.state != model::OperationState::running) continue;
    operation.state = model::OperationState::failed;
    operation.finished = writing.now;
    operation.error = Error{ErrorCode::unavailable, fmt::format("node '{}' died while it was at it", old_node),
                            "The VM is started on another node; ask for it again if it is still wanted."};
    writing.edit.update(record, operation);
    writing.edit.event(
        {.kind = "operation.finished",
         .object_kind = "operation",
         .object = operation.id.str(),
         .object_name = operation.target_name,
         .message = fmt::format("{} of vm '{}' failed: {}", operation.kind, vm.name, operation.error->message),
         .actor = "manager"});
  }
}

// A live move whose source is off has nobody to carry it on: cancelled, its target says whether it has the guest. Where
// disks go along the newer ones are on the dead node: that is for a person.
void cancel_moves_from(const Writing& writing, const model::VmId& vm, const model::NodeId& node) {
  for (const auto& record : writing.inventory.operations_of(vm.str())) {
    auto operation = record->value;
    if (operation.kind != model::operation_kind::vm_migrate || operation.terminal()) continue;
    const auto from = reconcile::operations::parameter<std::string>(operation, "from", {});
    if (operation.cancel_requested || from != node.str() || !reconcile::operations::copies_of(operation).empty())
      continue;
    operation.cancel_requested = true;
    writing.edit.update(record, operation);
  }
}

bool waits_to_restart(const state::Inventory& inventory, const model::VmId& vm) {
  for (const auto& record : inventory.operations_of(vm.str())) {
    const auto& operation = record->value;
    if (operation.kind == model::operation_kind::vm_restart && operation.state == model::OperationState::pending)
      return true;
  }
  return false;
}

}  // namespace

void revoke(const Writing& writing, const model::VmId& id, const Holder& ended, model::LeaseEnd by) {
  const auto record = writing.inventory.find<model::Vm>(id);
  if (!record || holder_of(record->value) != ended) return;
  auto vm = record->value;
  model::end_lease(vm, by);
  writing.edit.update(record, vm);
  cancel_moves_from(writing, id, ended.node);
}

void prove(const Writing& writing, const model::VmId& id) {
  const auto record = writing.inventory.find<model::Vm>(id);
  if (!record || !record->value.past_leases) return;
  auto vm = record->value;
  vm.past_leases->by_time = false;
  writing.edit.update(record, vm);
}

void place(const Writing& writing, const Place& place) {
  const auto record = writing.inventory.find<model::Vm>(place.vm);
  if (!record) return;
  auto vm = record->value;
  const bool wanted = vm.spec.power != model::PowerState::stopped && !vm.deleting;
  if (vm.lease != 0 || !wanted || undecided(writing.inventory, vm.id)) return;
  const auto from = name_of(writing.inventory, vm.node);
  const auto to = name_of(writing.inventory, place.node);
  vm.node = place.node;
  vm.lease = place.token;
  ++vm.generation;
  writing.edit.update(record, vm);
  writing.edit.set_status(
      vm.id, reconcile::operations::with_phase(vm.status, model::VmPhase::starting, place.why, writing.now));
  end_running(writing, vm, from);
  if (!waits_to_restart(writing.inventory, vm.id)) {
    auto restart = internal_operation(writing.random, writing.now, model::operation_kind::vm_restart, "vm", vm.id.str(),
                                      vm.name, vm.generation);
    restart.parameters["reason"] = place.why;
    writing.edit.create(restart);
  }
  writing.edit.event(
      {.kind = "vm.restart",
       .object_kind = "vm",
       .object = vm.id.str(),
       .object_name = vm.name,
       .message = from == to
                      ? fmt::format("VM '{}' is started again on node '{}'", vm.name, to)
                      : fmt::format("VM '{}' is started on node '{}'; it was on '{}', which is off", vm.name, to, from),
       .actor = "manager"});
}

}  // namespace bridgehead::availability_desk
