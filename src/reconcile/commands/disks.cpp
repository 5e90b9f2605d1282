#include "reconcile/commands/disks.h"

#include <algorithm>

#include "reconcile/commands/draft.h"
#include "reconcile/commands/parts.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile {
namespace {

struct Disk {
  state::Record<model::Image> record;
  state::Record<model::Vm> vm;  // null: detached
  std::string name;             // in the VM
  const model::Image& image() const { return record->value; }
};

Status check_migrating(const state::Inventory& inventory, const model::Vm& vm) {
  for (const auto& open : inventory.operations_of(vm.id.str())) {
    const auto& operation = open->value;
    if (operation.terminal() || operation.kind != model::operation_kind::vm_migrate) continue;
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("VM '{}' is moving to another node", vm.name),
                          fmt::format("Wait for it: bh operation show {}", operation.id));
  }
  return {};
}

// A disk that something can be done with now.
Result<Disk> resting_disk(const state::Inventory& inventory, const std::string& reference) {
  const auto record = resolve<model::Image>(inventory, reference);
  if (!record) return forward(record);
  Disk disk{.record = *record, .vm = {}, .name = {}};
  const auto& image = disk.image();
  if (image.role != model::ImageRole::disk) {
    return fail_with_hint(
        ErrorCode::failed_precondition, fmt::format("image '{}' is no guest's disk", image.name),
        "A golden image is imported into another pool: bh image import NAME --from-image --pool POOL");
  }
  if (image.state != model::ImageState::ready) {
    return fail(ErrorCode::failed_precondition, "disk '{}' isn't ready", image.name);
  }
  if (auto rests = check_disk_rests(inventory, image); !rests) return forward(rests);
  if (image.vm.empty()) return disk;
  disk.vm = inventory.find<model::Vm>(image.vm);
  if (!disk.vm || disk.vm->value.deleting) {
    return fail(ErrorCode::failed_precondition, "the VM of disk '{}' is being deleted", image.name);
  }
  const auto& vm = disk.vm->value;
  if (auto stays = check_migrating(inventory, vm); !stays) return forward(stays);
  if (!vm.status.snapshots.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("VM '{}' has snapshots, which hold its disks", vm.name),
                          fmt::format("Delete its snapshots first: bh vm snapshot list {}", vm.name));
  }
  const auto spec =
      std::find_if(vm.spec.disks.begin(), vm.spec.disks.end(), [&](const auto& one) { return one.image == image.id; });
  if (spec == vm.spec.disks.end()) {
    return fail(ErrorCode::failed_precondition, "disk '{}' is being taken out of its VM", image.name);
  }
  disk.name = spec->name;
  return disk;
}

const model::PoolOnNode* on_node(const model::Pool& pool, const model::NodeId& node) {
  const auto found = pool.nodes.find(node);
  return found == pool.nodes.end() || !found->second.ready ? nullptr : &found->second;
}

// What a copy may take; nothing where the pool can't tell what of a file is a hole.
std::optional<Bytes> most_taken(const state::Inventory& inventory, const model::Image& image,
                                const model::PoolOnNode& from) {
  if (!from.abilities.seek_holes) return {};
  auto taken = image.allocated;
  const auto golden = inventory.find<model::Image>(image.parent);
  if (golden && image.format == model::ImageFormat::qcow2) taken += golden->value.allocated;
  return std::min(taken, image.virtual_size);
}

// The node can do it: it has both pools, and room.
Status check_node(const state::Inventory& inventory, const Disk& disk, const model::Pool& to,
                  const model::NodeId& node) {
  const auto record = inventory.find<model::Node>(node);
  const auto name = record ? record->value.name : node.str();
  const auto from = inventory.find<model::Pool>(disk.image().pool);
  for (const auto* pool : {from ? &from->value : nullptr, &to}) {
    if (pool == nullptr) return fail(ErrorCode::not_found, "the pool of disk '{}' is gone", disk.image().name);
    if (on_node(*pool, node) != nullptr) continue;
    const auto there = pool->nodes.find(node);
    const auto why = there == pool->nodes.end() ? std::string("it isn't there") : there->second.message;
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("pool '{}' isn't ready on node '{}': {}", pool->name, name, why),
                          fmt::format("Look at it: bh pool status {}", pool->name));
  }
  const auto needed = most_taken(inventory, disk.image(), *on_node(from->value, node));
  const auto room = on_node(to, node)->available;
  if (!needed || *needed <= room) return {};
  return fail_with_hint(ErrorCode::resource_exhausted,
                        fmt::format("disk '{}' takes up to {}, pool '{}' has {} left", disk.image().name,
                                    needed->human(), to.name, room.human()),
                        "Free space in that pool, or choose another.");
}

Status check_somewhere(const state::Inventory& inventory, const Disk& disk, const model::Pool& to) {
  if (disk.vm) return check_node(inventory, disk, to, disk.vm->value.node);
  if (!disk.image().node.empty()) return check_node(inventory, disk, to, disk.image().node);
  Status answer = fail(ErrorCode::failed_precondition, "no node has both pools");
  for (const auto& node : inventory.all<model::Node>()) {
    answer = check_node(inventory, disk, to, node->value.id);
    if (answer) return {};
  }
  return answer;
}

model::Operation begin(Draft& draft, const char* kind, const Disk& disk) {
  const auto& image = disk.image();
  auto operation =
      disk.vm ? draft.operation(kind, "vm", disk.vm->value.id.str(), disk.vm->value.name, disk.vm->value.generation)
              : draft.operation(kind, "image", image.id.str(), image.name, 0);
  operation.parameters["image"] = image.id.str();
  operation.parameters["disk"] = disk.name;
  return operation;
}

}  // namespace

std::optional<model::Operation> disk_work_on(const state::Inventory& inventory, const model::Image& image) {
  for (const auto& target : {image.vm.str(), image.id.str()}) {
    for (const auto& open : inventory.operations_of(target)) {
      const auto& operation = open->value;
      if (operation.terminal() || operations::parameter<std::string>(operation, "image", {}) != image.id.str())
        continue;
      if (operation.kind == model::operation_kind::image_migrate ||
          operation.kind == model::operation_kind::image_flatten) {
        return operation;
      }
    }
  }
  return {};
}

Status check_disk_rests(const state::Inventory& inventory, const model::Image& image) {
  const auto work = disk_work_on(inventory, image);
  if (!work) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition,
      fmt::format("disk '{}' is being {}", image.name,
                  work->kind == model::operation_kind::image_migrate ? "moved to another pool" : "flattened"),
      fmt::format("Wait for it, or: bh operation cancel {}", work->id));
}

Result<Accepted<model::Image>> migrate_image(Commander& commander, const Caller& caller, const std::string& reference,
                                             const std::string& pool) {
  return run_operation<model::Image>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Image>> {
    const auto disk = resting_disk(draft.inventory, reference);
    if (!disk) return forward(disk);
    const auto to = parts::pool_for(draft.inventory, pool);
    if (!to) return forward(to);
    const auto& image = disk->image();
    const auto record = draft.inventory.find<model::Pool>(*to);
    if (image.pool == *to) {
      return fail(ErrorCode::failed_precondition, "disk '{}' is in pool '{}' already", image.name, record->value.name);
    }
    if (auto possible = check_somewhere(draft.inventory, *disk, record->value); !possible) return forward(possible);
    auto operation = begin(draft, model::operation_kind::image_migrate, *disk);
    operation.parameters["from"] = image.pool.str();
    operation.parameters["to"] = to->str();
    draft.add(operation);
    return Accepted<model::Image>{.object = image, .operation = std::move(operation)};
  });
}

Result<Accepted<model::Image>> flatten_image(Commander& commander, const Caller& caller, const std::string& reference) {
  return run_operation<model::Image>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Image>> {
    const auto disk = resting_disk(draft.inventory, reference);
    if (!disk) return forward(disk);
    const auto& image = disk->image();
    if (image.parent.empty()) {
      return fail(ErrorCode::failed_precondition, "disk '{}' has no golden image under it", image.name);
    }
    auto operation = begin(draft, model::operation_kind::image_flatten, *disk);
    draft.add(operation);
    return Accepted<model::Image>{.object = image, .operation = std::move(operation)};
  });
}

}  // namespace bridgehead::reconcile
