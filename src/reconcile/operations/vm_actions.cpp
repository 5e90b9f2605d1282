// vm.reboot (parameters {"force"}) and vm.snapshot.{create,rollback,delete} (parameters {"name"}): done once, the spec
// stays. But a rollback leaves the guest in the power state of the snapshot: what is wanted becomes what is.
#include <algorithm>

#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace vm_actions_steps {
namespace {

Start start(const View& view, Changes&, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return end_with({ErrorCode::not_found, "the VM was deleted", {}});
  const auto& vm = record->value;
  if (vm.deleting) return end_with({ErrorCode::failed_precondition, "the VM is being deleted", {}});
  if (vm.node.empty()) return end_with({ErrorCode::failed_precondition, "the VM was never placed on a node", {}});
  return at_node(view, operation, vm.node);
}

Result<model::AssignmentBody> reboot_body(const View& view, const model::NodeId&) {
  const auto vm = vm_of(view);
  if (!vm) return fail(ErrorCode::not_found, "the VM's record is gone");
  return model::AssignmentBody(model::RebootVm{
      .vm = vm->value.id, .lease = vm->value.lease, .force = parameter(view.operation(), "force", false)});
}

template <model::SnapshotAction action>
Result<model::AssignmentBody> snapshot_body(const View& view, const model::NodeId&) {
  const auto vm = vm_of(view);
  if (!vm) return fail(ErrorCode::not_found, "the VM's record is gone");
  return model::AssignmentBody(model::SnapshotVm{.vm = vm->value.id,
                                                 .lease = vm->value.lease,
                                                 .action = action,
                                                 .name = parameter<std::string>(view.operation(), "name", {})});
}

void succeed(const View& view, const model::AssignmentReport& report, Changes& changes, model::Operation&) {
  if (const auto vm = vm_of(view)) note_images(view, vm->value.id, report.images, changes);
}

void rolled_back(const View& view, const model::AssignmentReport& report, Changes& changes,
                 model::Operation& operation) {
  succeed(view, report, changes, operation);
  const auto record = vm_of(view);
  if (!record) return;
  auto vm = record->value;
  const auto name = parameter<std::string>(view.operation(), "name", {});
  const auto& snapshots = vm.status.snapshots;
  const auto snapshot =
      std::find_if(snapshots.begin(), snapshots.end(), [&](const auto& one) { return one.name == name; });
  const bool paused = power_of(vm.status.phase) == model::PowerState::paused;
  if (snapshot != snapshots.end()) {
    vm.spec.power = !snapshot->with_memory ? model::PowerState::stopped
                    : paused               ? model::PowerState::paused
                                           : model::PowerState::running;
  }
  ++vm.generation;
  changes.update(record, vm);
  // The node's definition went back as well; what has been changed since the snapshot is put in again.
  renew(view, vm, "rolled back", changes);
}

After give_up(const View&, const Error&, unsigned, Changes&, model::Operation&) { return After::end; }
void nothing(const View&, Changes&, model::Operation&) {}

constexpr Logic make(std::string_view kind, decltype(Logic::body) body, decltype(Logic::succeed) success = succeed) {
  return {.kind = kind, .start = start, .body = body, .succeed = success, .fail = give_up, .withdraw = nothing};
}

}  // namespace
}  // namespace vm_actions_steps

const Logic vm_reboot = vm_actions_steps::make(model::operation_kind::vm_reboot, vm_actions_steps::reboot_body);
const Logic vm_snapshot_create = vm_actions_steps::make(model::operation_kind::vm_snapshot_create,
                                                        vm_actions_steps::snapshot_body<model::SnapshotAction::create>);
const Logic vm_snapshot_rollback = vm_actions_steps::make(
    model::operation_kind::vm_snapshot_rollback, vm_actions_steps::snapshot_body<model::SnapshotAction::rollback>,
    vm_actions_steps::rolled_back);
const Logic vm_snapshot_delete = vm_actions_steps::make(model::operation_kind::vm_snapshot_delete,
                                                        vm_actions_steps::snapshot_body<model::SnapshotAction::remove>);

}  // namespace bridgehead::reconcile::operations
