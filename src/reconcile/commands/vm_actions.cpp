// Power, deletion and snapshots.
#include <algorithm>

#include "model/enum_names.h"
#include "reconcile/commands/validate.h"
#include "reconcile/commands/vm_common.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

constexpr std::uint64_t kLongestGrace = 3600;

std::string_view kind_of(PowerAction action) {
  switch (action) {
    case PowerAction::start: return model::operation_kind::vm_start;
    case PowerAction::stop: return model::operation_kind::vm_stop;
    case PowerAction::reboot: return model::operation_kind::vm_reboot;
    case PowerAction::pause: return model::operation_kind::vm_pause;
    case PowerAction::resume: return model::operation_kind::vm_resume;
  }
  return {};
}

Status check_power(const model::Vm& vm, PowerAction action) {
  const auto power = vm.spec.power;
  if ((action == PowerAction::pause || action == PowerAction::resume || action == PowerAction::reboot) &&
      power == model::PowerState::stopped) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("VM '{}' is stopped", vm.name),
                          fmt::format("Start it: bh vm start {}", vm.name));
  }
  if (action == PowerAction::reboot && power == model::PowerState::paused) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("VM '{}' is paused", vm.name),
                          fmt::format("Resume it: bh vm resume {}", vm.name));
  }
  return {};
}

model::PowerState wanted_power(const model::Vm& vm, PowerAction action) {
  switch (action) {
    case PowerAction::start:
    case PowerAction::resume: return model::PowerState::running;
    case PowerAction::stop: return model::PowerState::stopped;
    case PowerAction::pause: return model::PowerState::paused;
    case PowerAction::reboot: break;
  }
  return vm.spec.power;
}

void cancel_open(Draft& draft, const model::Vm& vm, const std::function<bool(const model::Operation&)>& which) {
  for (const auto& record : draft.inventory.operations_of(vm.id.str())) {
    auto operation = record->value;
    if (operation.terminal() || operation.cancel_requested || !which(operation)) continue;
    operation.cancel_requested = true;
    draft.edit.update(record, operation);
  }
}

Result<Accepted<model::Vm>> fill_power(Draft& draft, const std::string& reference, const PowerRequest& request) {
  const auto record = vm_common::usable(draft.inventory, reference);
  if (!record) return forward(record);
  auto vm = (*record)->value;
  if (auto checked = check_power(vm, request.action); !checked) return forward(checked);
  vm.spec.power = wanted_power(vm, request.action);
  if (auto room = vm_common::check_room(draft, (*record)->value, vm.spec); !room) return forward(room);

  auto operation = draft.operation(std::string(kind_of(request.action)), "vm", vm.id.str(), vm.name, 0);
  if (request.action == PowerAction::stop || request.action == PowerAction::reboot) {
    operation.parameters["force"] = request.force;
  }
  if (request.action == PowerAction::stop) {
    operation.parameters["grace_seconds"] = request.grace_seconds.value_or(60);
    // A guest that doesn't answer would make the forced stop wait behind the gracious one; one that moves, for long.
    if (request.force) {
      cancel_open(draft, vm, [](const model::Operation& open) {
        return open.kind == model::operation_kind::vm_stop || open.kind == model::operation_kind::vm_reboot ||
               open.kind == model::operation_kind::vm_migrate;
      });
    }
  }
  return vm_common::change(draft, *record, std::move(vm), std::move(operation));
}

Result<Accepted<model::Vm>> fill_delete(Draft& draft, const std::string& reference, bool keep_disks) {
  const auto record = resolve<model::Vm>(draft.inventory, reference);
  if (!record) return forward(record);
  auto vm = (*record)->value;
  for (const auto& open : draft.inventory.operations_of(vm.id.str())) {
    if (!open->value.terminal() && open->value.kind == model::operation_kind::vm_delete) {
      return Accepted<model::Vm>{.object = vm, .operation = open->value};
    }
  }
  if (keep_disks && !vm.status.snapshots.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("keep_disks: VM '{}' has snapshots, which would be left in its disks", vm.name),
                          "Delete its snapshots first.");
  }
  cancel_open(draft, vm, [](const model::Operation&) { return true; });
  vm.deleting = true;
  ++vm.generation;
  draft.edit.update(*record, vm);
  auto operation = draft.operation(model::operation_kind::vm_delete, "vm", vm.id.str(), vm.name, vm.generation);
  operation.parameters["keep_disks"] = keep_disks;
  draft.add(operation);
  return Accepted<model::Vm>{.object = std::move(vm), .operation = std::move(operation)};
}

enum class SnapshotNeed { new_one, existing };

Result<Accepted<model::Vm>> snapshot(Commander& commander, const Caller& caller, const std::string& reference,
                                     const std::string& name, std::string_view kind, SnapshotNeed need) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Vm>> {
    const auto record = vm_common::usable(draft.inventory, reference);
    if (!record) return forward(record);
    const auto& vm = (*record)->value;
    if (auto checked = validate::name("snapshot", name); !checked) return forward(checked);
    const auto& known = vm.status.snapshots;
    const bool there = std::any_of(known.begin(), known.end(), [&](const auto& s) { return s.name == name; });
    if (need == SnapshotNeed::new_one && there) {
      return fail(ErrorCode::already_exists, "name: VM '{}' already has a snapshot '{}'", vm.name, name);
    }
    if (need == SnapshotNeed::existing && !there) {
      return fail(ErrorCode::not_found, "VM '{}' has no snapshot '{}'", vm.name, name);
    }
    auto operation = draft.operation(std::string(kind), "vm", vm.id.str(), vm.name, vm.generation);
    operation.parameters["name"] = name;
    draft.add(operation);
    return Accepted<model::Vm>{.object = vm, .operation = std::move(operation)};
  });
}

}  // namespace

Result<Accepted<model::Vm>> power_vm(Commander& commander, const Caller& caller, const std::string& vm,
                                     const PowerRequest& request) {
  if (request.grace_seconds && *request.grace_seconds > kLongestGrace) {
    return wrong("grace_seconds", "must be between 0 and {}", kLongestGrace);
  }
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) { return fill_power(draft, vm, request); });
}

Result<model::Vm> confirm_stopped(Commander& commander, const Caller& caller, const std::string& reference) {
  return run<model::Vm>(commander, caller, [&](Draft& draft) -> Result<model::Vm> {
    const auto record = resolve<model::Vm>(draft.inventory, reference);
    if (!record) return forward(record);
    auto vm = (*record)->value;
    const auto stamp = operations::stamp_in_the_way(draft.inventory, vm.id);
    if (!stamp) {
      return fail_with_hint(ErrorCode::failed_precondition, fmt::format("nobody asks whether VM '{}' runs", vm.name),
                            "An operation that fails by a stamp beside its disks asks so: bh status");
    }
    if (vm.status.phase == model::VmPhase::running || vm.status.phase == model::VmPhase::paused) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("VM '{}' is {}", vm.name, model::to_string(vm.status.phase)),
                            fmt::format("Look where it is: bh vm show {}", vm.name));
    }
    if (stamp->token > vm.lease && stamp->token - vm.lease > operations::kMostLeasesLost) {
      return fail_with_hint(
          ErrorCode::failed_precondition, fmt::format("{} is no lease that a manager can have given", stamp->token),
          fmt::format("Find out who wrote it: leases/{}.json in the pools of its disks. If the VM runs nowhere, for "
                      "certain, delete that file.",
                      vm.id));
    }
    model::note_ended(vm, stamp->holder(), false);
    if (stamp->source) model::note_ended(vm, *stamp->source, false);
    draft.edit.skip("lease", stamp->token);
    if (vm.lease != 0) {
      model::end_lease(vm);
      vm.lease = draft.edit.take("lease");
    }
    draft.edit.update(*record, vm);
    draft.event(
        "vm.confirmed_stopped", "vm", vm.id.str(), vm.name,
        fmt::format("{} has seen that VM '{}' runs nowhere; lease {} is over", draft.actor(), vm.name, stamp->token));
    return vm;
  });
}

Result<Accepted<model::Vm>> delete_vm(Commander& commander, const Caller& caller, const std::string& vm,
                                      bool keep_disks) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) { return fill_delete(draft, vm, keep_disks); });
}

Result<Accepted<model::Vm>> create_snapshot(Commander& commander, const Caller& caller, const std::string& vm,
                                            const std::string& name) {
  return snapshot(commander, caller, vm, name, model::operation_kind::vm_snapshot_create, SnapshotNeed::new_one);
}

Result<Accepted<model::Vm>> rollback_snapshot(Commander& commander, const Caller& caller, const std::string& vm,
                                              const std::string& name) {
  return snapshot(commander, caller, vm, name, model::operation_kind::vm_snapshot_rollback, SnapshotNeed::existing);
}

Result<Accepted<model::Vm>> delete_snapshot(Commander& commander, const Caller& caller, const std::string& vm,
                                            const std::string& name) {
  return snapshot(commander, caller, vm, name, model::operation_kind::vm_snapshot_delete, SnapshotNeed::existing);
}

}  // namespace bridgehead::reconcile
