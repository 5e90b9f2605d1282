// vm.migrate: a running guest goes live to another node. Parameters: {"from", "to": node ids, "token": the lease under
// which it will run there, taken when it was asked for, "post_copy": bool, "gate": where the target lets it in, once it
// has said; "copies": the disks that go along, see disk_copies.h;
// "given_up": the source has said that it hasn't got it any more}.
//
// Two steps: the target accepts it, the source moves it. Until the second has succeeded the record says that it runs on
// the source under its lease. The target stamps its token beside the disks before anything moves, so from then on
// nobody starts the guest under the old one; a migration that fails therefore gives the source a new lease. Where the
// guest is then counts, not what was heard: it is on the source when the gate was never opened or the source says that
// the guest runs there. Otherwise the target is asked, and for as long as it is in the cluster nothing is done without
// its answer: it may have the guest.
//
// Where disks go along there are two of each, and no lock lets only one be used: the source alone decides, and while it
// doesn't say the operation stays open. Only a guest that the source has given up goes on at the target. If it is
// cancelled while the source is away the guest stays the source's, unless the target was told already.
#include "model/enum_names.h"
#include "model/json.h"
#include "reconcile/operations/disk_copies.h"

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

std::vector<model::NodeId> occupies(const model::Operation& operation) {
  return {source_of(operation), target_of(operation)};
}

// As it will be there.
model::Vm on_target(const model::Vm& vm, const model::Operation& operation) {
  auto moved = vm;
  moved.node = target_of(operation);
  moved.lease = token_of(operation);
  return moved;
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
  if (auto there = check_copies(view, vm, copies_of(operation)); !there) return end_with(there.error());
  if (clearing_on(view.inventory, vm, target_of(operation))) {
    return wait_for(
        fmt::format("waiting for node '{}' to remove an old file of its disk", node_name(view, target_of(operation))),
        view.monotonic + std::chrono::seconds(1));
  }
  for (const auto& node : occupies(operation)) {
    if (view.agents.connected(node)) continue;
    const auto absence = absence_of(view, node);
    if (absence.lost) return end_with(*absence.lost);
    return wait_for(fmt::format("waiting for node '{}', whose agent isn't connected", node_name(view, node)),
                    absence.until);
  }
  return at_node(view, operation, target_of(operation));
}

Result<model::AssignmentBody> body(const View& view, const model::NodeId& node) {
  const auto record = vm_of(view);
  if (!record) return fail(ErrorCode::not_found, "the VM's record is gone");
  const auto& operation = view.operation();
  const auto copies = copies_of(operation);
  if (node == source_of(operation)) {
    return model::AssignmentBody(model::MigrateVm{.vm = record->value.id,
                                                  .lease = record->value.lease,
                                                  .target = target_of(operation),
                                                  .gate = parameter<model::MigrationGate>(operation, "gate", {}),
                                                  .post_copy = parameter(operation, "post_copy", false),
                                                  .token = token_of(operation),
                                                  .leaving = pools_from(view, copies, node),
                                                  .past = record->value.past_leases});
  }
  auto guest = ensure_vm(view, on_target(record->value, operation));
  if (!guest) return forward(guest);
  redirect(view, copies, node, *guest);
  model::AcceptVm accept{
      .guest = std::move(*guest), .source = source_of(operation), .disks = {}, .source_lease = record->value.lease};
  for (const auto& copy : copies) accept.disks.push_back({.image = copy.image, .room = copy.room});
  return model::AssignmentBody(std::move(accept));
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
  auto left = record->value;
  model::end_lease(left);
  auto vm = on_target(left, operation);
  ++vm.generation;
  changes.update(record, vm);
  take_along(view, operation, source_of(operation), vm.node, changes);
  changes.event("vm.migrated", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' moved from node '{}' to node '{}'", vm.name, node_name(view, source_of(operation)),
                            node_name(view, vm.node)),
                operation.created_by);
  // Its end on the source may have been heard, and the target's first word of it comes after this.
  if (vm.status.phase == model::VmPhase::stopped && vm.spec.power != model::PowerState::stopped) {
    const auto status = with_phase(vm.status, phase_of(vm.spec.power), {}, view.now);
    changes.set_status(vm.id, status);
    changes.event("vm.phase", "vm", vm.id.str(), vm.name,
                  fmt::format("VM '{}' is {}", vm.name, model::to_string(status.phase)), "manager");
  }
  renew(view, vm, "migrated", changes);
}

void succeed(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  arrive(view, changes, operation);
}

// It stays where it is, under a newer lease than the one that the target may have stamped.
void stay(const View& view, Changes& changes, model::PowerState power) {
  leave_behind(view, view.operation(), target_of(view.operation()), changes);
  const auto record = vm_of(view);
  if (!record) return;
  auto vm = record->value;
  vm.spec.power = power;
  model::note_ended(vm, {target_of(view.operation()), token_of(view.operation())}, false);
  if (is_without_node(vm)) {  // its source has died: whoever gives it another node gives it a lease
    changes.update(record, vm);
    return;
  }
  ++vm.generation;
  changes.update_with_lease(record, vm);
  renew(view, vm, "migration failed", changes);
}

// A guest that was shut down from inside on its way is left so, as adopt_power would do it.
model::PowerState power_there(Changes& changes, const model::Vm& vm) {
  if (vm.status.phase != model::VmPhase::stopped || vm.spec.power == model::PowerState::stopped) return vm.spec.power;
  changes.event("vm.adopted", "vm", vm.id.str(), vm.name,
                fmt::format("VM '{}' was stopped from inside while it was to move; it is left so", vm.name), "manager");
  return model::PowerState::stopped;
}

After fail_move(const View& view, const Error& error, unsigned, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (operation.node == target_of(operation)) {  // its gate has let nobody in
    if (record) stay(view, changes, record->value.spec.power);
    return After::end;
  }
  const auto* sent = view.agents.sent(operation.id, operation.node);
  const bool told = sent != nullptr && sent->report && sent->report->state != model::AssignmentState::running;
  if (told && sent->report->guest_is_here) {
    if (!record) return After::end;
    const bool power_cut = error.code == ErrorCode::unavailable && !copies_of(operation).empty();
    stay(view, changes, power_cut ? record->value.spec.power : power_there(changes, record->value));
    return After::end;
  }
  if (!copies_of(operation).empty()) {
    const bool in_cluster = view.inventory.find<model::Node>(source_of(operation)) != nullptr;
    const bool given_up = !in_cluster || (told && error.code != ErrorCode::unavailable);
    const bool waits = !operation.cancel_requested || view.agents.connected(source_of(operation));
    if (!given_up && waits) return After::retry;
    if (given_up) operation.parameters["given_up"] = true;
  }
  operation.node = target_of(operation);
  return After::undo;
}

Result<model::AssignmentBody> undo_body(const View& view, const model::NodeId& node) {
  model::SettleVm settle{.vm = model::VmId(view.operation().target),
                         .disks = {},
                         .pools = {},
                         .given_up = parameter(view.operation(), "given_up", false)};
  for (const auto& copy : copies_of(view.operation())) {
    const auto image = view.inventory.find<model::Image>(copy.image);
    if (!image) continue;
    settle.disks.push_back(as_copied(view, image->value, copy, node));
    add_pool(view, copy.to, node, settle.pools);
  }
  return model::AssignmentBody(std::move(settle));
}

void undone(const View& view, const std::optional<Error>& left, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return;
  const auto& wanted = record->value.spec.power;
  if (left) {
    // The target was taken out of the cluster, and the source didn't say that the guest runs there. One that waits on
    // the source for the target's last word may have gone on there and written to its disks: nothing lets it go on here
    // but a person.
    const bool held = wanted == model::PowerState::running;
    stay(view, changes, held ? model::PowerState::paused : wanted);
    if (held && operation.error) {
      operation.error->hint =
          "Whether the guest went on there can't be found out, so it is kept paused here. Stop it with force and start "
          "it; resume it only if you know that it never ran there.";
    }
    return;
  }
  const auto* sent = view.agents.sent(undo_id(operation.id), target_of(operation));
  if (sent != nullptr && sent->report && sent->report->guest_is_here) {
    operation.error.reset();
    return arrive(view, changes, operation);
  }
  stay(view, changes, wanted);
}

void nothing(const View&, Changes&, model::Operation&) {}

}  // namespace
}  // namespace vm_migrate_steps

const Logic vm_migrate{.kind = model::operation_kind::vm_migrate,
                       .load = Load::migration,
                       .occupies = vm_migrate_steps::occupies,
                       .gives_lost_nodes_up = true,
                       .undo_without_end = true,
                       .start = vm_migrate_steps::start,
                       .body = vm_migrate_steps::body,
                       .advance = vm_migrate_steps::advance,
                       .succeed = vm_migrate_steps::succeed,
                       .fail = vm_migrate_steps::fail_move,
                       .undo_body = vm_migrate_steps::undo_body,
                       .undone = vm_migrate_steps::undone,
                       .withdraw = vm_migrate_steps::nothing};

}  // namespace bridgehead::reconcile::operations
