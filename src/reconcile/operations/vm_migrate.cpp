// vm.migrate: a running guest goes live to another node. Parameters: {"from", "to": node ids, "token": the lease under
// which it will run there, taken when it was asked for, "post_copy": bool, "gate": where the target lets it in, once it
// has said}.
//
// Two steps: the target accepts it, the source moves it. Until the second has succeeded the record says that it runs on
// the source under its lease. The target stamps its token beside the disks before anything moves, so from then on
// nobody starts the guest under the old one; a migration that fails therefore gives the source a new lease. After any
// failure the target is asked whether the guest is there all the same: what counts is where it is, not what was heard.
#include "model/json.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace vm_migrate_steps {
namespace {

model::NodeId source_of(const model::Operation& operation) {
  return model::NodeId(parameter<std::string>(operation, "from", {}));
}
model::NodeId target_of(const model::Operation& operation) {
  return model::NodeId(parameter<std::string>(operation, "to", {}));
}
std::uint64_t token_of(const model::Operation& operation) { return parameter<std::uint64_t>(operation, "token", 0); }

// As it will be there.
model::Vm on_target(const model::Vm& vm, const model::Operation& operation) {
  auto moved = vm;
  moved.node = target_of(operation);
  moved.lease = token_of(operation);
  return moved;
}

// The node brings the guest's definition, lease and power in line with the record.
void renew(const View& view, const model::Vm& vm, const char* reason, Changes& changes) {
  auto update = internal_operation(view.random, view.now, model::operation_kind::vm_update, "vm", vm.id.str(), vm.name,
                                   vm.generation);
  update.parameters["reason"] = reason;
  changes.create(std::move(update));
}

Start start(const View& view, Changes&, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record || record->value.deleting) return end_with({ErrorCode::not_found, "the VM was deleted", {}});
  const auto& vm = record->value;
  if (vm.node != source_of(operation) || vm.lease >= token_of(operation)) {
    return end_with({ErrorCode::conflict, fmt::format("the VM is on node '{}' now", node_name(view, vm.node)),
                     "Migrate it again if it should move on."});
  }
  if (vm.spec.power == model::PowerState::stopped) {
    return end_with({ErrorCode::failed_precondition, "the VM was stopped before its turn came", {}});
  }
  if (!view.agents.connected(vm.node)) {
    return wait_for(fmt::format("waiting for node '{}', whose agent isn't connected", node_name(view, vm.node)));
  }
  return at_node(view, operation, target_of(operation));
}

Result<model::AssignmentBody> body(const View& view, const model::NodeId& node) {
  const auto record = vm_of(view);
  if (!record) return fail(ErrorCode::not_found, "the VM's record is gone");
  const auto& operation = view.operation();
  if (node == source_of(operation)) {
    return model::AssignmentBody(model::MigrateVm{.vm = record->value.id,
                                                  .lease = record->value.lease,
                                                  .target = target_of(operation),
                                                  .gate = parameter<model::MigrationGate>(operation, "gate", {}),
                                                  .post_copy = parameter(operation, "post_copy", false)});
  }
  auto guest = ensure_vm(view, on_target(record->value, operation));
  if (!guest) return forward(guest);
  return model::AssignmentBody(model::AcceptVm{.guest = std::move(*guest), .source = source_of(operation)});
}

bool advance(const View&, const model::AssignmentReport& report, model::Operation& operation) {
  if (operation.node == source_of(operation)) return false;
  operation.parameters["gate"] = report.gate.value_or(model::MigrationGate{});
  operation.node = source_of(operation);
  operation.progress = {.phase = "moving"};
  return true;
}

void arrive(const View& view, Changes& changes, const model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return;
  auto vm = on_target(record->value, operation);
  ++vm.generation;
  changes.update(record, vm);
  changes.event("vm.migrated", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' moved from node '{}' to node '{}'", vm.name, node_name(view, source_of(operation)),
                            node_name(view, vm.node)),
                operation.created_by);
  renew(view, vm, "migrated", changes);
}

void succeed(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  arrive(view, changes, operation);
}

After fail_move(const View&, const Error&, unsigned, Changes&, model::Operation& operation) {
  operation.node = target_of(operation);
  return After::undo;
}

Result<model::AssignmentBody> undo_body(const View& view, const model::NodeId&) {
  const auto record = vm_of(view);
  if (!record) return fail(ErrorCode::not_found, "the VM's record is gone");
  const auto remove = remove_vm(view, on_target(record->value, view.operation()), true);
  return model::AssignmentBody(model::SettleVm{.vm = remove.vm, .pools = remove.pools});
}

void undone(const View& view, const std::optional<Error>& left, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return;
  if (left) {
    // Nobody knows: the record stays, and the stamp on the disks keeps the source from starting it anew.
    if (operation.error) {
      operation.error->hint = fmt::format("Whether the guest is on node '{}' could not be found out ({}); look there.",
                                          node_name(view, target_of(operation)), left->message);
    }
    return;
  }
  const auto* sent = view.agents.sent(undo_id(operation.id), target_of(operation));
  if (sent != nullptr && sent->report && sent->report->guest_is_here) {
    operation.error.reset();
    return arrive(view, changes, operation);
  }
  auto vm = record->value;
  ++vm.generation;
  changes.update_with_lease(record, vm);
  renew(view, vm, "migration failed", changes);
}

void nothing(const View&, Changes&, model::Operation&) {}

}  // namespace
}  // namespace vm_migrate_steps

const Logic vm_migrate{.kind = model::operation_kind::vm_migrate,
                       .start = vm_migrate_steps::start,
                       .body = vm_migrate_steps::body,
                       .advance = vm_migrate_steps::advance,
                       .succeed = vm_migrate_steps::succeed,
                       .fail = vm_migrate_steps::fail_move,
                       .undo_body = vm_migrate_steps::undo_body,
                       .undone = vm_migrate_steps::undone,
                       .withdraw = vm_migrate_steps::nothing};

}  // namespace bridgehead::reconcile::operations
