#include "reconcile/operations/disk_copies.h"

#include <algorithm>

#include "model/json.h"

namespace bridgehead::reconcile::operations {
namespace {

bool is_shared_pool(const View& view, const model::PoolId& id) {
  const auto pool = view.inventory.find<model::Pool>(id);
  return pool && model::is_shared(pool->value.driver);
}

// What image.clear is serialised by: it must not hold up the disk, nor its VM.
std::string clear_target(const model::ImageId& image, const model::NodeId& node) {
  return fmt::format("{}@{}", image, node);
}

void clear(const View& view, const model::Image& left, const model::NodeId& node, std::uint64_t lease,
           Changes& changes) {
  auto clear = internal_operation(view.random, view.now, model::operation_kind::image_clear, "image",
                                  clear_target(left.id, node), left.name, 0);
  clear.node = node;
  clear.parameters["disk"] = left;
  clear.parameters["lease"] = lease;
  changes.create(std::move(clear));
}

// The target has said by its gate what it made of it.
void describe(const View& view, const model::Operation& operation, model::Image& image) {
  const auto vm = vm_of(view);
  if (!vm) return;
  const auto gate = parameter<model::MigrationGate>(operation, "gate", {});
  for (const auto& spec : vm->value.spec.disks) {
    if (spec.image != image.id) continue;
    for (const auto& disk : gate.disks) {
      if (disk.name != spec.name) continue;
      image.format = disk.format;
      image.virtual_size = disk.size;
    }
  }
}

}  // namespace

nlohmann::json to_parameter(const std::vector<DiskCopy>& copies) {
  auto list = nlohmann::json::array();
  for (const auto& copy : copies) {
    list.push_back(nlohmann::json{
        {"image", copy.image.str()}, {"from", copy.from.str()}, {"to", copy.to.str()}, {"room", copy.room.count()}});
  }
  return list;
}

std::vector<DiskCopy> copies_of(const model::Operation& operation) {
  std::vector<DiskCopy> copies;
  for (const auto& entry : parameter(operation, "copies", nlohmann::json::array())) {
    copies.push_back({.image = model::ImageId(entry.at("image").get<std::string>()),
                      .from = model::PoolId(entry.at("from").get<std::string>()),
                      .to = model::PoolId(entry.at("to").get<std::string>()),
                      .room = Bytes(entry.at("room").get<std::uint64_t>())});
  }
  return copies;
}

Status check_copies(const View& view, const model::Vm& vm, const std::vector<DiskCopy>& copies) {
  for (const auto& copy : copies) {
    const auto image = view.inventory.find<model::Image>(copy.image);
    const bool there = image && image->value.vm == vm.id && image->value.pool == copy.from;
    const auto to = view.inventory.find<model::Pool>(copy.to);
    if (there && to && !to->value.deleting) continue;
    return fail_with_hint(ErrorCode::conflict, "its disks aren't where they were when this was asked for",
                          "Migrate it again.");
  }
  return {};
}

model::Image as_copied(const View& view, model::Image disk, const DiskCopy& copy, const model::NodeId& node) {
  disk.pool = copy.to;
  disk.node = is_shared_pool(view, copy.to) ? model::NodeId() : node;
  disk.parent = {};
  return disk;
}

void redirect(const View& view, const std::vector<DiskCopy>& copies, const model::NodeId& node,
              model::EnsureVm& guest) {
  for (const auto& copy : copies) {
    for (auto& image : guest.images) {
      if (image.id == copy.image) image = as_copied(view, image, copy, node);
    }
    add_pool(view, copy.to, node, guest.pools);
  }
}

std::vector<model::Pool> pools_from(const View& view, const std::vector<DiskCopy>& copies, const model::NodeId& node) {
  std::vector<model::Pool> pools;
  for (const auto& copy : copies) add_pool(view, copy.from, node, pools);
  return pools;
}

void take_along(const View& view, const model::Operation& operation, const model::NodeId& from, const model::NodeId& to,
                Changes& changes) {
  for (const auto& copy : copies_of(operation)) {
    const auto record = view.inventory.find<model::Image>(copy.image);
    if (!record) continue;
    auto image = as_copied(view, record->value, copy, to);
    describe(view, operation, image);
    changes.update(record, image);
    const auto pool = view.inventory.find<model::Pool>(copy.to);
    changes.event("image.migrated", "image", image.id.str(), image.name,
                  fmt::format("Disk '{}' is in pool '{}' of node '{}' now", image.name,
                              pool ? pool->value.name : copy.to.str(), node_name(view, to)),
                  operation.created_by);
    clear(view, record->value, from, parameter<std::uint64_t>(operation, "token", 0), changes);
  }
}

void leave_behind(const View& view, const model::Operation& operation, const model::NodeId& target, Changes& changes) {
  for (const auto& copy : copies_of(operation)) {
    const auto record = view.inventory.find<model::Image>(copy.image);
    if (!record) continue;
    clear(view, as_copied(view, record->value, copy, target), target, parameter<std::uint64_t>(operation, "token", 0),
          changes);
  }
}

std::optional<model::Operation> clearing_on(const state::Inventory& inventory, const model::Vm& vm,
                                            const model::NodeId& node) {
  for (const auto& disk : vm.spec.disks) {
    for (const auto& record : inventory.operations_of(clear_target(disk.image, node))) {
      if (!record->value.terminal()) return record->value;
    }
  }
  return {};
}

bool clears_in(const model::Operation& clear, const model::PoolId& pool) {
  return parameter<model::Image>(clear, "disk", {}).pool == pool;
}

namespace image_clear_steps {
namespace {

struct Left {
  model::Image image;  // as it was there
  state::Record<model::Vm> vm;
  state::Record<model::Pool> pool;
};

Left left_by(const View& view) {
  Left left{.image = parameter<model::Image>(view.operation(), "disk", {}), .vm = {}, .pool = {}};
  left.vm = view.inventory.find<model::Vm>(left.image.vm);
  left.pool = view.inventory.find<model::Pool>(left.image.pool);
  return left;
}

bool lies_there(const View& view, const model::Image& image, const model::Image& left) {
  return image.pool == left.pool && (is_shared_pool(view, image.pool) || image.node == view.operation().node);
}

// Nothing is left to clear: node or pool are gone, or this is the disk after all.
bool is_over(const View& view, const Left& left) {
  if (!left.pool || !view.inventory.find<model::Node>(view.operation().node)) return true;
  const auto now = view.inventory.find<model::Image>(left.image.id);
  return now && lies_there(view, now->value, left.image);
}

Start start(const View& view, Changes&, model::Operation& operation) {
  if (is_over(view, left_by(view))) return end_well();
  return at_node(view, operation, operation.node);
}

Result<model::AssignmentBody> body(const View& view, const model::NodeId& node) {
  const auto left = left_by(view);
  if (is_over(view, left)) return fail(ErrorCode::not_found, "nothing is left to be cleared away");
  model::ClearDisk clear{.vm = left.image.vm,
                         .lease = parameter<std::uint64_t>(view.operation(), "lease", 0),
                         .image = left.image,
                         .pool = left.pool->value};
  std::erase_if(clear.pool.nodes, [&](const auto& entry) { return entry.first != node; });
  if (left.vm) {
    clear.guest_is_here = left.vm->value.node == node;
    for (const auto& disk : left.vm->value.spec.disks) clear.disks.push_back(disk.name);
    for (const auto& disk : disks_of(view, left.image.vm)) {
      clear.others_stay = clear.others_stay || lies_there(view, disk->value, left.image);
    }
  }
  return model::AssignmentBody(std::move(clear));
}

void succeed(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  const auto left = left_by(view);
  changes.event("image.cleared", "image", left.image.id.str(), left.image.name,
                fmt::format("A file that isn't disk '{}' was removed from node '{}'", left.image.name,
                            node_name(view, operation.node)),
                operation.created_by);
}

After again(const View& view, const Error&, unsigned, Changes&, model::Operation&) {
  return is_over(view, left_by(view)) ? After::end : After::retry;
}

void nothing(const View&, Changes&, model::Operation&) {}

}  // namespace
}  // namespace image_clear_steps

const Logic image_clear{.kind = model::operation_kind::image_clear,
                        .load = Load::none,
                        .start = image_clear_steps::start,
                        .body = image_clear_steps::body,
                        .succeed = image_clear_steps::succeed,
                        .fail = image_clear_steps::again,
                        .withdraw = image_clear_steps::nothing};

}  // namespace bridgehead::reconcile::operations
