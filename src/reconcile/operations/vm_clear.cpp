// vm.clear: a node still has a copy of a guest that lives elsewhere under a newer lease (a migration whose last word
// was lost leaves one, paused): it goes, and the disks stay. Parameters: {"node": where, "lease": the copy's}. Begun by
// observe_vm whenever a node shows one, so it waits for nothing: later operations on the guest are more important.
#include "model/json.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace vm_clear_steps {
namespace {

Start start(const View& view, Changes&, model::Operation& operation) {
  const auto record = vm_of(view);
  const model::NodeId node(parameter<std::string>(operation, "node", {}));
  const auto lease = parameter<std::uint64_t>(operation, "lease", 0);
  if (!record || record->value.node == node || lease >= record->value.lease || !view.agents.connected(node)) {
    return end_well();
  }
  return at_node(view, operation, node);
}

Result<model::AssignmentBody> body(const View& view, const model::NodeId& node) {
  const auto record = vm_of(view);
  if (!record) return fail(ErrorCode::not_found, "the VM's record is gone");
  // No disks and no pools: those are in use. A guest that runs is never taken for a copy, whatever led here.
  model::RemoveVm remove{.vm = record->value, .unless_running = true};
  remove.vm.status = {};
  remove.vm.node = node;
  remove.vm.lease = parameter<std::uint64_t>(view.operation(), "lease", 0);
  return model::AssignmentBody(std::move(remove));
}

void succeed(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  changes.event("vm.cleared", "vm", operation.target, operation.target_name,
                fmt::format("An old copy of VM '{}' was removed from node '{}'", operation.target_name,
                            node_name(view, operation.node)),
                operation.created_by);
}

After give_up(const View&, const Error&, unsigned, Changes&, model::Operation&) { return After::end; }
void nothing(const View&, Changes&, model::Operation&) {}

}  // namespace
}  // namespace vm_clear_steps

const Logic vm_clear{.kind = model::operation_kind::vm_clear,
                     .gives_lost_nodes_up = true,
                     .start = vm_clear_steps::start,
                     .body = vm_clear_steps::body,
                     .succeed = vm_clear_steps::succeed,
                     .fail = vm_clear_steps::give_up,
                     .withdraw = vm_clear_steps::nothing};

}  // namespace bridgehead::reconcile::operations
