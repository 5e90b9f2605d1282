// image.migrate, image.flatten: a guest's disk (or a detached one) goes into another pool, or becomes independent of
// its golden image; parameters in model/operation.h. The record says where it was until the node has said where it is.
// The node ends in one of the two, whatever fails; only `unavailable` leaves that open, and then it is asked until it
// knows.
#include <algorithm>

#include "model/json.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace disk_steps {
namespace {

state::Record<model::Image> disk_of(const View& view) {
  return view.inventory.find<model::Image>(model::ImageId(parameter<std::string>(view.operation(), "image", {})));
}

Result<model::Pool> pool_named(const View& view, const char* name) {
  const auto pool = view.inventory.find<model::Pool>(model::PoolId(parameter<std::string>(view.operation(), name, {})));
  if (!pool) return fail(ErrorCode::not_found, "the pool was removed");
  auto value = pool->value;
  value.nodes.clear();
  return value;
}

// Of those that have all its pools, for a detached disk that all of them see.
Result<model::NodeId> any_node(const View& view, const std::vector<model::PoolId>& pools) {
  for (const auto& node : view.inventory.all<model::Node>()) {
    const auto& id = node->value.id;
    const bool has_all = std::all_of(pools.begin(), pools.end(), [&](const auto& pool) {
      const auto record = view.inventory.find<model::Pool>(pool);
      if (!record) return false;
      const auto there = record->value.nodes.find(id);
      return there != record->value.nodes.end() && there->second.ready;
    });
    if (has_all && view.agents.connected(id)) return id;
  }
  return fail(ErrorCode::unavailable, "no connected node has the pools that this needs");
}

Start start(const View& view, Changes&, model::Operation& operation) {
  const auto record = disk_of(view);
  if (!record) return end_with({ErrorCode::not_found, "the disk was deleted", {}});
  const auto& image = record->value;
  const auto from = parameter<std::string>(operation, "from", image.pool.str());
  if (image.pool.str() != from || image.state != model::ImageState::ready) {
    return end_with({ErrorCode::conflict, "the disk isn't where it was when this was asked for", "Ask again."});
  }
  // What the disk's work is serialised with.
  if (operation.target != (image.vm.empty() ? image.id.str() : image.vm.str())) {
    return end_with({ErrorCode::conflict, "the disk was plugged in or taken out meanwhile", "Ask again."});
  }
  if (!image.vm.empty()) {
    const auto vm = view.inventory.find<model::Vm>(image.vm);
    if (!vm || vm->value.deleting) return end_with({ErrorCode::not_found, "the disk's VM was deleted", {}});
    return at_node(view, operation, vm->value.node);
  }
  if (!image.node.empty()) return at_node(view, operation, image.node);
  std::vector<model::PoolId> pools{image.pool};
  if (const auto to = parameter<std::string>(operation, "to", {}); !to.empty()) pools.emplace_back(to);
  const auto node = any_node(view, pools);
  if (!node) return wait_for(node.error().message, view.monotonic + std::chrono::seconds(1));
  return at_node(view, operation, *node);
}

bool has_others_in(const View& view, const model::Image& image, const model::PoolId& pool) {
  const auto disks = disks_of(view, image.vm);
  return std::any_of(disks.begin(), disks.end(),
                     [&](const auto& disk) { return disk->value.id != image.id && disk->value.pool == pool; });
}

// What the agent needs to know of the lease of the disk's guest.
template <typename Work>
void put_lease(const View& view, const model::Image& image, Work& work) {
  const auto vm = view.inventory.find<model::Vm>(image.vm);
  if (!vm) return;
  work.lease = vm->value.lease;
  work.past = vm->value.past_leases;
}

Result<model::AssignmentBody> migrate_body(const View& view, const model::NodeId&) {
  const auto record = disk_of(view);
  if (!record) return fail(ErrorCode::not_found, "the disk's record is gone");
  auto from = pool_named(view, "from");
  if (!from) return forward(from);
  auto to = pool_named(view, "to");
  if (!to) return forward(to);
  const auto& image = record->value;
  model::MoveDisk move{.vm = image.vm, .disk = parameter<std::string>(view.operation(), "disk", {}), .image = image};
  put_lease(view, image, move);
  if (!image.vm.empty()) {
    move.others_stay = has_others_in(view, image, from->id);
    move.others_there = has_others_in(view, image, to->id);
  }
  move.from = std::move(*from);
  move.to = std::move(*to);
  return model::AssignmentBody(std::move(move));
}

Result<model::AssignmentBody> flatten_body(const View& view, const model::NodeId&) {
  const auto record = disk_of(view);
  if (!record) return fail(ErrorCode::not_found, "the disk's record is gone");
  const auto& image = record->value;
  const auto pool = view.inventory.find<model::Pool>(image.pool);
  if (!pool) return fail(ErrorCode::not_found, "the pool was removed");
  model::FlattenDisk flatten{.vm = image.vm,
                             .disk = parameter<std::string>(view.operation(), "disk", {}),
                             .image = image,
                             .pool = pool->value};
  put_lease(view, image, flatten);
  flatten.pool.nodes.clear();
  return model::AssignmentBody(std::move(flatten));
}

// The disk as the node has it now, in its record.
std::optional<model::Image> as_reported(const state::Record<model::Image>& record,
                                        const model::AssignmentReport& report) {
  for (const auto& reported : report.images) {
    if (reported.id != record->value.id) continue;
    auto image = record->value;
    image.format = reported.format;
    image.virtual_size = reported.virtual_size;
    image.allocated = reported.allocated;
    image.parent = {};
    return image;
  }
  return {};
}

void migrated(const View& view, const model::AssignmentReport& report, Changes& changes, model::Operation& operation) {
  const auto record = disk_of(view);
  if (!record) return;
  auto image = as_reported(record, report);
  const auto to = pool_named(view, "to");
  if (!image || !to) return;
  image->pool = to->id;
  image->node = model::is_shared(to->driver) ? model::NodeId() : operation.node;
  changes.update(record, *image);
  changes.event("image.migrated", "image", image->id.str(), image->name,
                fmt::format("Disk '{}' is in pool '{}' now", image->name, to->name), operation.created_by);
}

void flattened(const View& view, const model::AssignmentReport& report, Changes& changes, model::Operation& operation) {
  const auto record = disk_of(view);
  if (!record) return;
  const auto image = as_reported(record, report);
  if (!image) return;
  changes.update(record, *image);
  changes.event("image.flattened", "image", image->id.str(), image->name,
                fmt::format("Disk '{}' needs its golden image no longer", image->name), operation.created_by);
}

After fail_disk(const View& view, const Error& error, unsigned, Changes&, model::Operation& operation) {
  if (!view.inventory.find<model::Node>(operation.node)) {
    // Another one sees by the copy's mark where the disk is.
    const auto other = any_node(view, {model::PoolId(parameter<std::string>(operation, "from", {})),
                                       model::PoolId(parameter<std::string>(operation, "to", {}))});
    if (other) operation.node = *other;
    return After::retry;
  }
  return error.code == ErrorCode::unavailable ? After::retry : After::end;
}

// Flattening is harmless wherever it ends, so it isn't tried for ever.
After fail_flatten(const View&, const Error& error, unsigned failures, Changes&, model::Operation&) {
  return error.code == ErrorCode::unavailable && failures < kTries ? After::retry : After::end;
}

void nothing(const View&, Changes&, model::Operation&) {}

}  // namespace
}  // namespace disk_steps

const Logic image_migrate{.kind = model::operation_kind::image_migrate,
                          .load = Load::image,
                          .start = disk_steps::start,
                          .body = disk_steps::migrate_body,
                          .succeed = disk_steps::migrated,
                          .fail = disk_steps::fail_disk,
                          .withdraw = disk_steps::nothing};

const Logic image_flatten{.kind = model::operation_kind::image_flatten,
                          .load = Load::image,
                          .start = disk_steps::start,
                          .body = disk_steps::flatten_body,
                          .succeed = disk_steps::flattened,
                          .fail = disk_steps::fail_flatten,
                          .withdraw = disk_steps::nothing};

}  // namespace bridgehead::reconcile::operations
