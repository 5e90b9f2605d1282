// vm.create: parameters {"node": id the user asked for}. A create that fails or is cancelled leaves nothing: the node
// removes what was made, then the records go and the names are free.
#include "reconcile/cluster.h"
#include "reconcile/operations/records.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::reconcile::operations {
namespace vm_create_steps {
namespace {

void drop_unsent(const View& view, Changes& changes, model::Operation& operation) {
  if (const auto vm = vm_of(view)) drop_vm(view, vm, false, changes, operation);
  operation.parameters.erase("removed");  // no node has ever heard of it
}

void wake(const View& view, const model::NodeId& id, const model::Operation& operation, Changes& changes) {
  const auto node = view.inventory.find<model::Node>(id);
  if (!node) return;
  set_wanted({view.inventory, view.random, view.now}, node, true, operation.created_by, changes);
}

Start start(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return end_with({ErrorCode::not_found, "the VM's record is gone", {}});
  auto vm = record->value;
  std::vector<model::Image> disks;
  const auto disk_records = disks_of(view, vm.id);
  for (const auto& disk : disk_records) disks.push_back(disk->value);

  auto& cluster = view.cluster();
  const auto request =
      placement_request(view.inventory, vm, disks, model::NodeId(parameter<std::string>(operation, "node", {})));
  const auto placement = scheduler::place(cluster, request);
  if (!placement) {
    const bool patient = view.now - operation.created < view.options.placement_patience;
    if (!view.settled || (patient && placement.error().code == ErrorCode::unavailable)) {
      return wait_for("waiting: " + placement.error().message, view.monotonic + std::chrono::seconds(1));
    }
    drop_unsent(view, changes, operation);
    return end_with(placement.error());
  }
  if (placement->asleep) {
    wake(view, placement->node, operation, changes);
    charge(cluster, placement->node, request);
    return wait_for(fmt::format("waiting for node '{}', which is switched on", node_name(view, placement->node)),
                    view.monotonic + std::chrono::seconds(1));
  }
  const auto where = at_node(view, operation, placement->node);
  if (where.what != Start::What::begin) {
    operation.node = {};  // chosen anew when its turn comes
    return where;
  }
  charge(cluster, placement->node, request);

  vm.node = placement->node;
  changes.update_with_lease(record, vm);
  for (const auto& disk : disk_records) {
    const auto pool = view.inventory.find<model::Pool>(disk->value.pool);
    if (pool && model::is_shared(pool->value.driver)) continue;
    auto image = disk->value;
    image.node = placement->node;  // a local pool: only there
    changes.update(disk, image);
  }
  changes.set_status(vm.id, with_phase(vm.status, model::VmPhase::creating, {}, view.now));
  operation.parameters["placement"] = placement->reasons;
  return begin();
}

void succeed(const View& view, const model::AssignmentReport& report, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return;
  const auto& vm = record->value;
  note_images(view, vm.id, report.images, changes);
  // What was observed after the spec had been applied is nearer to the truth than what was asked for.
  if (vm.status.observed_generation < operation.generation) {
    auto status = with_phase(vm.status, phase_of(vm.spec.power), {}, view.now);
    status.observed_generation = operation.generation;
    changes.set_status(vm.id, std::move(status));
  }
  changes.event("vm.created", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' is on node '{}'", vm.name, node_name(view, vm.node)), operation.created_by);
}

After fail_create(const View& view, const Error& error, unsigned, Changes& changes, model::Operation&) {
  const auto record = vm_of(view);
  if (!record) return After::end;
  auto vm = record->value;
  vm.deleting = true;
  ++vm.generation;
  changes.update(record, vm);
  changes.set_status(vm.id, with_phase(vm.status, model::VmPhase::deleting, error.message, view.now));
  return After::undo;
}

Result<model::AssignmentBody> undo_body(const View& view, const model::NodeId&) {
  const auto vm = vm_of(view);
  if (!vm) return fail(ErrorCode::not_found, "the VM's record is gone");
  return model::AssignmentBody(remove_vm(view, vm->value, false));
}

void undone(const View& view, const std::optional<Error>& left, Changes& changes, model::Operation& operation) {
  const auto vm = vm_of(view);
  if (!vm) return;
  if (!left) {
    drop_vm(view, vm, false, changes, operation);
    return;
  }
  changes.set_status(vm->value.id,
                     with_phase(vm->value.status, model::VmPhase::failed,
                                fmt::format("creating it failed ({}) and so did cleaning up: {}. Delete it again.",
                                            operation.error ? operation.error->message : "", left->message),
                                view.now));
}

}  // namespace
}  // namespace vm_create_steps

const Logic vm_create{.kind = model::operation_kind::vm_create,
                      .start = vm_create_steps::start,
                      .body = ensure_vm_body,
                      .succeed = vm_create_steps::succeed,
                      .fail = vm_create_steps::fail_create,
                      .undo_body = vm_create_steps::undo_body,
                      .undone = vm_create_steps::undone,
                      .withdraw = vm_create_steps::drop_unsent};

}  // namespace bridgehead::reconcile::operations
