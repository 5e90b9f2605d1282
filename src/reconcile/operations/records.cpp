#include "reconcile/operations/records.h"

#include <algorithm>
#include <set>

#include "model/json.h"

namespace bridgehead::reconcile::operations {

state::Record<model::Vm> vm_of(const View& view) {
  return view.inventory.find<model::Vm>(model::VmId(view.operation().target));
}
state::Record<model::Image> image_of(const View& view) {
  return view.inventory.find<model::Image>(model::ImageId(view.operation().target));
}
state::Record<model::Pool> pool_of(const View& view) {
  return view.inventory.find<model::Pool>(model::PoolId(view.operation().target));
}
state::Record<model::Network> network_of(const View& view) {
  return view.inventory.find<model::Network>(model::NetworkId(view.operation().target));
}

std::string node_name(const View& view, const model::NodeId& node) {
  const auto record = view.inventory.find<model::Node>(node);
  return record ? record->value.name : node.str();
}

Absence absence_of(const View& view, const model::NodeId& node) {
  if (!view.inventory.find<model::Node>(node)) {
    return {.lost = Error{ErrorCode::unavailable, fmt::format("node {} was taken out of the cluster", node), {}}};
  }
  const auto* known = view.agents.node(node);
  const auto until = known != nullptr ? known->last_heard + view.options.lost_node_patience
                     : view.settled   ? view.monotonic
                                      : view.monotonic + view.options.heartbeat;
  if (view.monotonic < until) return {.until = until};
  return {.lost = Error{ErrorCode::unavailable, fmt::format("node '{}' can't be reached", node_name(view, node)),
                        "See what is wrong with it: bh node show"}};
}

std::optional<model::LeaseStamp> stamp_in_the_way(const state::Inventory& inventory, const model::VmId& vm) {
  const auto history = inventory.operations_of(vm.str());
  if (history.empty() || history.front()->value.state != model::OperationState::failed) return {};
  const auto stamp = parameter<model::LeaseStamp>(history.front()->value, kStamp, {});
  if (stamp.token == 0) return {};
  const auto record = inventory.find<model::Vm>(vm);
  if (!record) return stamp;
  const auto& now = record->value;
  const bool taken_over = stamp.holder() == model::LeaseHolder{now.node, now.lease};
  const bool confirmed = now.past_leases && model::is_over(*now.past_leases, stamp);  // by a person
  return taken_over || confirmed ? std::nullopt : std::optional(stamp);
}

bool is_without_node(const model::Vm& vm) { return !vm.node.empty() && vm.lease == 0; }

Start at_node(const View& view, model::Operation& operation, const model::NodeId& node) {
  operation.node = node;
  if (!view.agents.connected(node)) {
    return wait_for(fmt::format("waiting for node '{}', whose agent isn't connected", node_name(view, node)));
  }
  if (view.has_slot && !view.has_slot(node)) return wait_for("queued", view.monotonic + view.options.sweep);
  return begin();
}

Result<model::AssignmentBody> ensure_vm_body(const View& view, const model::NodeId&) {
  const auto vm = vm_of(view);
  if (!vm) return fail(ErrorCode::not_found, "the VM's record is gone");
  auto ensure = ensure_vm(view, vm->value);
  if (!ensure) return forward(ensure);
  return model::AssignmentBody(std::move(*ensure));
}

std::vector<state::Record<model::Image>> disks_of(const View& view, const model::VmId& vm) {
  return view.inventory.images_of_vm(vm);
}

void add_pool(const View& view, const model::PoolId& id, const model::NodeId& node, std::vector<model::Pool>& pools) {
  for (const auto& pool : pools) {
    if (pool.id == id) return;
  }
  const auto record = view.inventory.find<model::Pool>(id);
  if (!record) return;
  auto pool = record->value;
  std::erase_if(pool.nodes, [&](const auto& entry) { return entry.first != node; });
  pools.push_back(std::move(pool));
}

namespace {

// A disk that is only half made is of no use to anyone.
bool kept(const model::Image& disk, bool keep_disks) { return keep_disks && disk.state == model::ImageState::ready; }

// The forced or gracious stop that was asked for last decides, whichever operation carries it out.
void set_stop(const View& view, model::EnsureVm& ensure) {
  const model::Operation* newest = nullptr;
  const auto operations = view.inventory.operations_of(ensure.vm.id.str());
  for (const auto& record : operations) {
    const auto& operation = record->value;
    if (operation.terminal() || operation.kind != model::operation_kind::vm_stop || operation.cancel_requested)
      continue;
    if (newest == nullptr || operation.generation > newest->generation) newest = &operation;
  }
  if (newest == nullptr) return;
  ensure.force_stop = parameter(*newest, "force", false);
  ensure.stop_grace_seconds = parameter<std::uint32_t>(*newest, "grace_seconds", ensure.stop_grace_seconds);
}

}  // namespace

Result<model::EnsureVm> ensure_vm(const View& view, const model::Vm& vm) {
  model::EnsureVm ensure;
  ensure.vm = vm;
  ensure.vm.status = {};
  std::set<model::ImageId> golden;
  for (const auto& disk : vm.spec.disks) {
    const auto image = view.inventory.find<model::Image>(disk.image);
    if (!image) return fail(ErrorCode::not_found, "the record of disk '{}' of VM '{}' is missing", disk.name, vm.name);
    ensure.images.push_back(image->value);
    add_pool(view, image->value.pool, vm.node, ensure.pools);
    if (!image->value.parent.empty()) golden.insert(image->value.parent);
  }
  for (const auto& id : golden) {
    // A parent that is gone matters only while the disk still is to be made; the node says so then.
    if (const auto image = view.inventory.find<model::Image>(id)) {
      ensure.images.push_back(image->value);
      add_pool(view, image->value.pool, vm.node, ensure.pools);
    }
  }
  std::set<model::NetworkId> networks;
  for (const auto& nic : vm.spec.nics) networks.insert(nic.network);
  for (const auto& id : networks) {
    const auto network = view.inventory.find<model::Network>(id);
    if (!network) return fail(ErrorCode::not_found, "a network of VM '{}' is missing: {}", vm.name, id.str());
    ensure.networks.push_back(network->value);
  }
  if (vm.spec.power == model::PowerState::stopped) set_stop(view, ensure);
  return ensure;
}

model::RemoveVm remove_vm(const View& view, const model::Vm& vm, bool keep_disks) {
  model::RemoveVm remove;
  remove.vm = vm;
  remove.vm.status = {};
  for (const auto& disk : disks_of(view, vm.id)) {
    add_pool(view, disk->value.pool, vm.node, remove.pools);
    if (!kept(disk->value, keep_disks)) remove.disks.push_back(disk->value);
  }
  return remove;
}

void note_images(const View& view, const model::VmId& vm, const std::vector<model::Image>& reported, Changes& changes) {
  for (const auto& record : disks_of(view, vm)) {
    auto image = record->value;
    // Not those that the node says nothing of: a disk that was added since isn't there yet.
    const auto found = std::find_if(reported.begin(), reported.end(), [&](const auto& r) { return r.id == image.id; });
    if (found == reported.end()) continue;
    image.format = found->format;
    image.virtual_size = found->virtual_size;
    image.allocated = found->allocated;
    if (image.state == model::ImageState::creating) {
      image.state = model::ImageState::ready;
      image.message.clear();
    }
    if (image != record->value) changes.update(record, image);
  }
}

void drop_vm(const View& view, const state::Record<model::Vm>& vm, bool keep_disks, Changes& changes,
             model::Operation& operation) {
  auto stripped = vm->value;
  stripped.status = {};
  stripped.spec.cloud_init = {};  // holds secrets, and operations are shown to everyone
  nlohmann::json disks = nlohmann::json::array();
  for (const auto& disk : disks_of(view, vm->value.id)) {
    if (kept(disk->value, keep_disks)) {
      auto detached = disk->value;
      detached.vm = {};
      changes.update(disk, detached);
    } else {
      disks.push_back(disk->value);
      changes.remove(disk);
    }
  }
  operation.parameters["removed"] = {{"vm", stripped}, {"disks", disks}};
  changes.remove(vm);
  changes.event("vm.deleted", "vm", vm->value.id.str(), vm->value.name, fmt::format("VM '{}' is gone", vm->value.name),
                operation.created_by);
}

std::optional<model::RemoveVm> removed_before(const View& view, const model::Operation& operation) {
  const auto found = operation.parameters.find("removed");
  if (found == operation.parameters.end()) return {};
  try {
    model::RemoveVm remove;
    remove.vm = found->at("vm").get<model::Vm>();
    remove.disks = found->at("disks").get<std::vector<model::Image>>();
    for (const auto& disk : remove.disks) add_pool(view, disk.pool, remove.vm.node, remove.pools);
    return remove;
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

std::vector<std::string> ready_pools(const View& view, const model::NodeId& node) {
  std::vector<std::string> ready;
  for (const auto& pool : view.inventory.all<model::Pool>()) {
    const auto there = pool->value.nodes.find(node);
    if (there != pool->value.nodes.end() && there->second.ready) ready.push_back(pool->value.id.str());
  }
  return ready;
}

std::string missing_pool(const View& view, const model::NodeId& node, const std::vector<std::string>& pools) {
  for (const auto& id : pools) {
    const auto pool = view.inventory.find<model::Pool>(model::PoolId(id));
    if (!pool || pool->value.deleting) continue;
    const auto there = pool->value.nodes.find(node);
    if (there != pool->value.nodes.end() && there->second.ready) continue;
    const auto why = there == pool->value.nodes.end() ? std::string() : there->second.message;
    return fmt::format("pool '{}' isn't ready there{}{}", pool->value.name, why.empty() ? "" : ": ", why);
  }
  return {};
}

model::VmStatus with_phase(model::VmStatus status, model::VmPhase phase, std::string message, Timestamp now) {
  if (status.phase != phase) status.since = now;
  status.phase = phase;
  status.message = std::move(message);
  return status;
}

model::VmPhase phase_of(model::PowerState power) {
  switch (power) {
    case model::PowerState::running: return model::VmPhase::running;
    case model::PowerState::stopped: return model::VmPhase::stopped;
    case model::PowerState::paused: return model::VmPhase::paused;
  }
  return model::VmPhase::unknown;
}

std::optional<model::PowerState> power_of(model::VmPhase phase) {
  switch (phase) {
    case model::VmPhase::running: return model::PowerState::running;
    case model::VmPhase::stopped: return model::PowerState::stopped;
    case model::VmPhase::paused: return model::PowerState::paused;
    default: return {};
  }
}

model::Operation internal_operation(RandomSource& random, Timestamp now, std::string kind, std::string target_kind,
                                    std::string target, std::string target_name, std::uint64_t generation) {
  model::Operation operation;
  operation.id = make_id<model::OperationId>(random);
  operation.kind = std::move(kind);
  operation.target_kind = std::move(target_kind);
  operation.target = std::move(target);
  operation.target_name = std::move(target_name);
  operation.generation = generation;
  operation.created_by = "manager";
  operation.created = now;
  return operation;
}

void renew(const View& view, const model::Vm& vm, const char* reason, Changes& changes) {
  auto update = internal_operation(view.random, view.now, model::operation_kind::vm_update, "vm", vm.id.str(), vm.name,
                                   vm.generation);
  update.parameters["reason"] = reason;
  update.parameters["repair"] = true;
  changes.create(std::move(update));
}

void delete_images(const View& view, const std::vector<model::ImageId>& images, Changes& changes) {
  for (const auto& id : images) {
    const auto record = view.inventory.find<model::Image>(id);
    if (!record) continue;
    const auto history = view.inventory.operations_of(id.str());
    if (std::any_of(history.begin(), history.end(), [](const auto& operation) { return !operation->value.terminal(); }))
      continue;
    auto image = record->value;
    image.state = model::ImageState::deleting;
    image.vm = {};
    changes.update(record, image);
    changes.create(internal_operation(view.random, view.now, model::operation_kind::image_delete, "image",
                                      image.id.str(), image.name, 0));
  }
}

}  // namespace bridgehead::reconcile::operations
