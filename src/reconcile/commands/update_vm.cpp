#include <algorithm>

#include "reconcile/commands/disks.h"
#include "reconcile/commands/parts.h"
#include "reconcile/commands/validate.h"
#include "reconcile/commands/vm_common.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

Status change_cloud_init(const CloudInitChange& change, model::CloudInit& cloud_init) {
  if (change.hostname) cloud_init.hostname = *change.hostname;
  if (change.user) cloud_init.user = *change.user;
  if (change.password_hash) cloud_init.password_hash = *change.password_hash;
  if (change.ssh_keys) cloud_init.ssh_keys = *change.ssh_keys;
  if (change.user_data) cloud_init.user_data = *change.user_data;
  if (change.network_config) cloud_init.network_config = *change.network_config;
  return validate::cloud_init(cloud_init);
}

Status change_disks(const std::vector<DiskResize>& resizes, model::VmSpec& spec) {
  for (std::size_t i = 0; i < resizes.size(); ++i) {
    const auto& resize = resizes[i];
    const auto disk =
        std::find_if(spec.disks.begin(), spec.disks.end(), [&](const auto& d) { return d.name == resize.name; });
    if (disk == spec.disks.end()) {
      return fail(ErrorCode::not_found, "disks[{}].name: the VM has no disk '{}'", i, validate::shown(resize.name));
    }
    const auto field = fmt::format("disks[{}].size", i);
    if (auto checked = validate::disk_size(resize.size, field); !checked) return checked;
    if (resize.size < disk->size) {
      return wrong(field, "disk '{}' has {} and can only grow", disk->name, disk->size.human());
    }
    disk->size = resize.size;
  }
  return {};
}

Status change_vm(Draft& draft, const UpdateVm& request, model::Vm& vm) {
  if (request.name && *request.name != vm.name) {
    if (auto checked = validate::name("VM", *request.name); !checked) return checked;
    if (auto checked = check_name_free<model::Vm>(draft.inventory, *request.name); !checked) return checked;
    vm.name = *request.name;
  }
  if (request.labels) {
    if (auto checked = validate::labels(*request.labels); !checked) return checked;
    vm.labels = *request.labels;
  }
  if (request.priority) {
    if (auto checked = validate::priority(*request.priority); !checked) return checked;
    vm.planning.priority = static_cast<std::int32_t>(*request.priority);
  }
  vm.planning.move_cost = request.move_cost.value_or(vm.planning.move_cost);
  vm.planning.may_move = request.may_move.value_or(vm.planning.may_move);
  if (auto checked = validate::planning(vm.planning); !checked) return checked;
  auto& spec = vm.spec;
  if (request.cpus) {
    if (auto checked = validate::cpus(*request.cpus); !checked) return checked;
    spec.cpus = static_cast<std::uint32_t>(*request.cpus);
    spec.max_cpus = std::max(spec.max_cpus, spec.cpus);
  }
  if (request.memory) {
    if (auto checked = validate::memory(*request.memory); !checked) return checked;
    spec.memory = *request.memory;
    spec.max_memory = std::max(spec.max_memory, spec.memory);
  }
  spec.autostart = request.autostart.value_or(spec.autostart);
  if (request.ha == model::HaMode::restart) {
    if (auto checked = vm_common::check_may_restart(draft.inventory, vm); !checked) return checked;
  }
  spec.ha = request.ha.value_or(spec.ha);
  if (request.when_alone == model::WhenAlone::stop && spec.ha != model::HaMode::restart) {
    return wrong("when_alone", "stop is for guests that start elsewhere; set ha to restart, too");
  }
  spec.when_alone = request.when_alone.value_or(spec.when_alone);
  if (spec.ha != model::HaMode::restart) spec.when_alone = model::WhenAlone::keep;
  spec.watchdog = request.watchdog.value_or(spec.watchdog);
  if (request.restart_hung_seconds) {
    if (auto checked = validate::restart_hung(*request.restart_hung_seconds); !checked) return checked;
    spec.restart_hung = std::chrono::seconds(*request.restart_hung_seconds);
  }
  spec.cpu_model = request.cpu_model.value_or(spec.cpu_model);
  spec.firmware = request.firmware.value_or(spec.firmware);
  if (auto changed = change_disks(request.disks, spec); !changed) return changed;
  return request.cloud_init ? change_cloud_init(*request.cloud_init, spec.cloud_init) : Status{};
}

// A disk that was detached from another guest, to be plugged in as it is.
Result<model::DiskSpec> attach(Draft& draft, const model::Vm& vm, const state::Record<model::Image>& record,
                               const DiskRequest& request, const std::string& name) {
  auto image = record->value;
  if (!image.vm.empty())
    return fail(ErrorCode::failed_precondition, "image: disk '{}' belongs to another guest", image.name);
  if (image.state != model::ImageState::ready) {
    return fail(ErrorCode::failed_precondition, "image: disk '{}' isn't ready", image.name);
  }
  if (auto rests = check_disk_rests(draft.inventory, image); !rests) return forward(rests);
  if (!image.node.empty() && image.node != vm.node) {
    return fail(ErrorCode::failed_precondition, "image: disk '{}' is on another node than the VM", image.name);
  }
  const auto size = request.size.value_or(image.virtual_size);
  if (auto checked = validate::disk_size(size, "size"); !checked) return forward(checked);
  if (size < image.virtual_size) return wrong("size", "the disk has {} and can only grow", image.virtual_size.human());
  image.vm = vm.id;
  draft.edit.update(record, image);
  return model::DiskSpec{.name = name, .image = image.id, .size = size};
}

Result<Accepted<model::Vm>> fill_add_disk(Draft& draft, const std::string& reference, const DiskRequest& request) {
  const auto record = vm_common::usable(draft.inventory, reference);
  if (!record) return forward(record);
  auto vm = (*record)->value;
  if (vm.spec.disks.size() >= parts::kMostDisks) {
    return fail(ErrorCode::failed_precondition, "VM '{}' has {} disks already, which is the most", vm.name,
                parts::kMostDisks);
  }
  const auto name = parts::free_name("disk", vm.spec.disks);
  auto operation = draft.operation(model::operation_kind::vm_update, "vm", vm.id.str(), vm.name, 0);

  std::optional<model::Image> golden;
  if (!request.image.empty()) {
    if (!request.pool.empty()) return wrong("pool", "is for blank disks");
    const auto image = parts::in_field<model::Image>(draft.inventory, "image", request.image);
    if (!image) return forward(image);
    if ((*image)->value.role == model::ImageRole::disk) {
      if (request.layout != model::LayoutWish::automatic) {
        return wrong("layout", "disk '{}' has its layout already", (*image)->value.name);
      }
      auto disk = attach(draft, vm, *image, request, name);
      if (!disk) return forward(disk);
      operation.parameters["attached_image"] = disk->image.str();
      vm.spec.disks.push_back(std::move(*disk));
      return vm_common::change(draft, *record, std::move(vm), std::move(operation));
    }
    auto checked = parts::golden_image(draft.inventory, "image", request.image);
    if (!checked) return forward(checked);
    golden = std::move(*checked);
    if (!golden->node.empty() && golden->node != vm.node) {
      return fail(ErrorCode::failed_precondition, "image: '{}' is on another node than the VM", golden->name);
    }
  }
  model::PoolId pool;
  if (!golden) {
    // Beside the guest's other disks, if it has any.
    const auto first =
        vm.spec.disks.empty() ? nullptr : draft.inventory.find<model::Image>(vm.spec.disks.front().image);
    const auto found = first && request.pool.empty() ? Result<model::PoolId>(first->value.pool)
                                                     : parts::pool_for(draft.inventory, request.pool);
    if (!found) return forward(found);
    pool = *found;
  }
  auto disk = parts::disk(draft, "disk", vm, name, request, golden ? &*golden : nullptr, pool);
  if (!disk) return forward(disk);
  vm.spec.disks.push_back(disk->spec);
  draft.edit.create(disk->image);
  operation.parameters["new_images"] = {disk->image.id.str()};
  return vm_common::change(draft, *record, std::move(vm), std::move(operation));
}

}  // namespace

Result<Accepted<model::Vm>> update_vm(Commander& commander, const Caller& caller, const std::string& reference,
                                      const UpdateVm& request) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Vm>> {
    const auto record = vm_common::usable(draft.inventory, reference);
    if (!record) return forward(record);
    auto vm = (*record)->value;
    if (auto changed = change_vm(draft, request, vm); !changed) return forward(changed);
    if (auto room = vm_common::check_room(draft, (*record)->value, vm.spec); !room) return forward(room);
    auto operation = draft.operation(model::operation_kind::vm_update, "vm", vm.id.str(), vm.name, 0);
    return vm_common::change(draft, *record, std::move(vm), std::move(operation));
  });
}

Result<Accepted<model::Vm>> add_disk(Commander& commander, const Caller& caller, const std::string& reference,
                                     const DiskRequest& request) {
  return run_operation<model::Vm>(commander, caller,
                                  [&](Draft& draft) { return fill_add_disk(draft, reference, request); });
}

Result<Accepted<model::Vm>> remove_disk(Commander& commander, const Caller& caller, const std::string& reference,
                                        const std::string& name) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Vm>> {
    const auto record = vm_common::usable(draft.inventory, reference);
    if (!record) return forward(record);
    auto vm = (*record)->value;
    const auto disk =
        std::find_if(vm.spec.disks.begin(), vm.spec.disks.end(), [&](const auto& d) { return d.name == name; });
    if (disk == vm.spec.disks.end()) {
      return fail(ErrorCode::not_found, "VM '{}' has no disk '{}'", vm.name, validate::shown(name));
    }
    if (const auto image = draft.inventory.find<model::Image>(disk->image)) {
      if (auto rests = check_disk_rests(draft.inventory, image->value); !rests) return forward(rests);
    }
    if (!vm.status.snapshots.empty()) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("VM '{}' has snapshots, which hold its disks", vm.name),
                            "Delete its snapshots first.");
    }
    auto operation = draft.operation(model::operation_kind::vm_update, "vm", vm.id.str(), vm.name, 0);
    operation.parameters["remove_images"] = {disk->image.str()};
    vm.spec.disks.erase(disk);
    return vm_common::change(draft, *record, std::move(vm), std::move(operation));
  });
}

Result<Accepted<model::Vm>> add_nic(Commander& commander, const Caller& caller, const std::string& reference,
                                    const NicRequest& request) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Vm>> {
    const auto record = vm_common::usable(draft.inventory, reference);
    if (!record) return forward(record);
    auto vm = (*record)->value;
    if (vm.spec.nics.size() >= parts::kMostNics) {
      return fail(ErrorCode::failed_precondition, "VM '{}' has {} NICs already, which is the most", vm.name,
                  parts::kMostNics);
    }
    auto nic = parts::nic(draft, "nic", parts::free_name("nic", vm.spec.nics), request);
    if (!nic) return forward(nic);
    vm.spec.nics.push_back(std::move(*nic));
    auto operation = draft.operation(model::operation_kind::vm_update, "vm", vm.id.str(), vm.name, 0);
    return vm_common::change(draft, *record, std::move(vm), std::move(operation));
  });
}

Result<Accepted<model::Vm>> remove_nic(Commander& commander, const Caller& caller, const std::string& reference,
                                       const std::string& name) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Vm>> {
    const auto record = vm_common::usable(draft.inventory, reference);
    if (!record) return forward(record);
    auto vm = (*record)->value;
    if (std::erase_if(vm.spec.nics, [&](const auto& nic) { return nic.name == name; }) == 0) {
      return fail(ErrorCode::not_found, "VM '{}' has no NIC '{}'", vm.name, validate::shown(name));
    }
    auto operation = draft.operation(model::operation_kind::vm_update, "vm", vm.id.str(), vm.name, 0);
    return vm_common::change(draft, *record, std::move(vm), std::move(operation));
  });
}

}  // namespace bridgehead::reconcile
