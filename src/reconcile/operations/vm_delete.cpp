// vm.delete: parameters {"keep_disks": bool}, or {"removed": ...} when it removes what a late message brought back
// after its record was gone. Tried until it works; given up after some tries, and then the VM stays "deleting" until a
// user asks again.
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace vm_delete_steps {
namespace {

bool keep_disks(const model::Operation& operation) { return parameter(operation, "keep_disks", false); }

Start start(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) {
    const auto removed = removed_before(view, operation);
    if (!removed) return end_well();  // an earlier operation has removed it
    return at_node(view, operation, removed->vm.node);
  }
  const auto& vm = record->value;
  // Never placed, or on a node that was taken out of the cluster: nobody else has anything of it.
  if (vm.node.empty() || !view.inventory.find<model::Node>(vm.node)) {
    drop_vm(view, record, keep_disks(operation), changes, operation);
    operation.parameters.erase("removed");
    return end_well();
  }
  const auto where = at_node(view, operation, vm.node);
  if (where.what == Start::What::begin) {
    changes.set_status(vm.id, with_phase(vm.status, model::VmPhase::deleting, {}, view.now));
  }
  return where;
}

Result<model::AssignmentBody> body(const View& view, const model::NodeId&) {
  if (const auto vm = vm_of(view)) {
    return model::AssignmentBody(remove_vm(view, vm->value, keep_disks(view.operation())));
  }
  if (auto removed = removed_before(view, view.operation())) return model::AssignmentBody(std::move(*removed));
  return fail(ErrorCode::not_found, "the VM's record is gone");
}

void succeed(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  if (const auto vm = vm_of(view)) drop_vm(view, vm, keep_disks(operation), changes, operation);
}

After fail_delete(const View& view, const Error& error, unsigned failures, Changes& changes, model::Operation&) {
  if (failures < kTries) return After::retry;
  if (const auto vm = vm_of(view)) {
    changes.set_status(vm->value.id,
                       with_phase(vm->value.status, model::VmPhase::failed,
                                  fmt::format("deleting it failed: {}. Delete it again.", error.message), view.now));
  }
  return After::end;
}

void withdraw(const View& view, Changes& changes, model::Operation&) {
  const auto record = vm_of(view);
  if (!record || !record->value.deleting) return;
  auto vm = record->value;
  vm.deleting = false;
  ++vm.generation;
  changes.update(record, vm);
}

}  // namespace
}  // namespace vm_delete_steps

const Logic vm_delete{.kind = model::operation_kind::vm_delete,
                      .start = vm_delete_steps::start,
                      .body = vm_delete_steps::body,
                      .succeed = vm_delete_steps::succeed,
                      .fail = vm_delete_steps::fail_delete,
                      .withdraw = vm_delete_steps::withdraw};

}  // namespace bridgehead::reconcile::operations
