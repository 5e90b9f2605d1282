// vm.update, vm.start, vm.stop, vm.pause, vm.resume: the spec has changed (the command has written it); the node brings
// the guest to it. Parameters: {"before": {...}, "after": {...}} the changed parts of the spec, so that a failure can
// be taken back; {"new_images": [id]} disks made for it, {"attached_image": id} one plugged in, {"remove_images": [id]}
// disks to delete once they are out of the guest; vm.stop: {"force", "grace_seconds"}.
// vm.restart: its node is gone, and the availability desk has given it another one, with a new lease.
#include <algorithm>
#include <utility>

#include "model/json.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace vm_update_steps {
namespace {

Start start(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  const bool own = operation.created_by == "manager";
  if (own && (!record || record->value.deleting)) return end_well();  // nothing is left to be put right
  if (!record) return end_with({ErrorCode::not_found, "the VM was deleted", {}});
  const auto& vm = record->value;
  if (vm.deleting) return end_with({ErrorCode::failed_precondition, "the VM is being deleted", {}});
  if (vm.node.empty()) return end_with({ErrorCode::failed_precondition, "the VM was never placed on a node", {}});
  if (is_without_node(vm) && operation.kind == model::operation_kind::vm_stop) {  // it is off, wherever it was
    changes.set_status(vm.id, with_phase(vm.status, model::VmPhase::stopped, {}, view.now));
    return end_well();
  }
  if (is_without_node(vm)) return wait_for(kWithoutNode, view.monotonic + std::chrono::seconds(1));
  return at_node(view, operation, vm.node);
}

std::vector<model::ImageId> images_to_remove(const model::Operation& operation) {
  std::vector<model::ImageId> images;
  for (auto& id : parameter<std::vector<std::string>>(operation, "remove_images", {}))
    images.emplace_back(std::move(id));
  return images;
}

void succeed(const View& view, const model::AssignmentReport& report, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return;
  const auto& vm = record->value;
  note_images(view, vm.id, report.images, changes);
  delete_images(view, images_to_remove(operation), changes);
  if (vm.status.observed_generation < operation.generation) {
    auto status = with_phase(vm.status, phase_of(vm.spec.power), {}, view.now);
    status.observed_generation = operation.generation;
    changes.set_status(vm.id, std::move(status));
  } else if (vm.status.phase == model::VmPhase::failed) {
    changes.set_status(vm.id, with_phase(vm.status, phase_of(vm.spec.power), {}, view.now));
  }
}

// A disk never shrinks: what has grown already stays grown. And one that is being deleted doesn't come back.
void keep_truth(const View& view, model::VmSpec& spec) {
  std::erase_if(spec.disks, [&](const auto& disk) {
    const auto image = view.inventory.find<model::Image>(disk.image);
    return !image || image->value.state == model::ImageState::deleting;
  });
  for (auto& disk : spec.disks) {
    const auto image = view.inventory.find<model::Image>(disk.image);
    if (image && image->value.virtual_size > disk.size) disk.size = image->value.virtual_size;
  }
}

// Takes back what an operation did to a list of named things, whatever others did to the rest of it since.
nlohmann::json list_before(nlohmann::json now, const nlohmann::json& before, const nlohmann::json& after) {
  const auto named = [](const nlohmann::json& list, const nlohmann::json& item) {
    return std::find_if(list.begin(), list.end(),
                        [&](const auto& other) { return other.at("name") == item.at("name"); });
  };
  for (const auto& item : after) {
    if (named(before, item) != before.end()) continue;
    if (const auto added = std::find(now.begin(), now.end(), item); added != now.end()) now.erase(added);
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto& item = before[i];
    const auto then = named(after, item);
    const auto current = named(std::as_const(now), item);
    if (then == after.end()) {
      // In its old place: a guest boots from its first disk.
      if (current == now.cend()) now.insert(now.begin() + static_cast<std::ptrdiff_t>(std::min(i, now.size())), item);
    } else if (current != now.cend() && *current == *then) {
      now[static_cast<std::size_t>(current - now.cbegin())] = item;
    }
  }
  return now;
}

// The spec with this operation's changes taken back, as far as nobody has changed the same parts since.
Result<model::VmSpec> spec_before(const model::Operation& operation, const model::VmSpec& now) {
  const auto before = operation.parameters.find("before");
  const auto after = operation.parameters.find("after");
  if (before == operation.parameters.end() || after == operation.parameters.end()) return now;
  try {
    nlohmann::json json = now;
    for (const auto& [key, value] : before->items()) {
      if (value.is_array()) {
        json[key] = list_before(json.at(key), value, after->at(key));
      } else if (json.at(key) == after->at(key)) {
        json[key] = value;
      }
    }
    return json.get<model::VmSpec>();
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::internal, "the operation's parameters can't be read: {}", error.what());
  }
}

// The disks that this operation brought or took and that the VM doesn't have any more: made here or taken out by it,
// they are to be deleted; plugged in by it, they are let go.
nlohmann::json settle_disks(const View& view, const model::Operation& operation, const model::VmSpec& spec,
                            Changes& changes) {
  const auto made_here = parameter<std::vector<std::string>>(operation, "new_images", {});
  nlohmann::json remove = nlohmann::json::array();
  for (const auto& image : disks_of(view, model::VmId(operation.target))) {
    const auto& id = image->value.id;
    const bool used =
        std::any_of(spec.disks.begin(), spec.disks.end(), [&](const auto& disk) { return disk.image == id; });
    if (used) continue;
    const auto taken = images_to_remove(operation);
    if (std::find(made_here.begin(), made_here.end(), id.str()) != made_here.end() ||
        std::find(taken.begin(), taken.end(), id) != taken.end()) {
      remove.push_back(id.str());
      if (image->value.state == model::ImageState::deleting) continue;
      auto doomed = image->value;
      doomed.state = model::ImageState::deleting;
      changes.update(image, doomed);
    } else if (parameter<std::string>(operation, "attached_image", {}) == id.str()) {
      auto detached = image->value;
      detached.vm = {};
      changes.update(image, detached);
    }
  }
  return remove;
}

// Somebody has asked for a power state since; what they want stands, even where it is the same (a forced stop behind a
// gracious one that was cancelled for it).
bool power_asked_since(const View& view, const model::Operation& operation) {
  for (const auto& record : view.inventory.operations_of(operation.target)) {
    const auto& other = record->value;
    if (other.id == operation.id || other.terminal() || other.cancel_requested) continue;
    for (const char* kind : {model::operation_kind::vm_start, model::operation_kind::vm_stop,
                             model::operation_kind::vm_pause, model::operation_kind::vm_resume}) {
      if (other.kind == kind) return true;
    }
  }
  return false;
}

void take_back(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = vm_of(view);
  if (!record) return;
  auto vm = record->value;  // even if it is being deleted: that may be cancelled yet
  auto spec = spec_before(operation, vm.spec);
  if (!spec) return;
  if (power_asked_since(view, operation)) spec->power = vm.spec.power;
  keep_truth(view, *spec);
  auto remove = settle_disks(view, operation, *spec, changes);
  auto only_power = vm.spec;
  only_power.power = spec->power;
  const bool node_knows_already = only_power == *spec && remove.empty();
  if (*spec != vm.spec) {
    vm.spec = std::move(*spec);
    ++vm.generation;
    changes.update(record, vm);
  }
  if (node_knows_already) return;

  auto repair = internal_operation(view.random, view.now, model::operation_kind::vm_update, "vm", vm.id.str(), vm.name,
                                   vm.generation);
  repair.parameters["undo_of"] = operation.id.str();
  if (!remove.empty()) repair.parameters["remove_images"] = std::move(remove);
  changes.create(std::move(repair));
}

After fail_update(const View& view, const Error& error, unsigned failures, Changes& changes,
                  model::Operation& operation) {
  // What puts things right isn't given up at once; nobody else would do it.
  const bool own = parameter(operation, "repair", false) || operation.parameters.contains("undo_of");
  if (own && failures < kTries && !operation.parameters.contains(kStamp)) return After::retry;
  take_back(view, changes, operation);
  const auto vm = vm_of(view);
  if (vm && own) {
    changes.set_status(vm->value.id, with_phase(vm->value.status, model::VmPhase::failed, error.message, view.now));
  }
  return After::end;
}

// Until it runs: a file system may hold the dead node's locks for long, and a person can cancel it. A stamp that stands
// in the way is for a person.
After try_again(const View& view, const Error& error, unsigned, Changes& changes, model::Operation& operation) {
  if (!operation.parameters.contains(kStamp)) return After::retry;
  if (const auto vm = vm_of(view)) {
    changes.set_status(vm->value.id, with_phase(vm->value.status, model::VmPhase::failed, error.message, view.now));
  }
  return After::end;
}
void leave(const View&, Changes&, model::Operation&) {}

constexpr Logic make(std::string_view kind) {
  return {.kind = kind,
          .start = start,
          .body = ensure_vm_body,
          .succeed = succeed,
          .fail = fail_update,
          .withdraw = take_back};
}

}  // namespace
}  // namespace vm_update_steps

const Logic vm_restart{.kind = model::operation_kind::vm_restart,
                       .start = vm_update_steps::start,
                       .body = ensure_vm_body,
                       .succeed = vm_update_steps::succeed,
                       .fail = vm_update_steps::try_again,
                       .withdraw = vm_update_steps::leave};
const Logic vm_update = vm_update_steps::make(model::operation_kind::vm_update);
const Logic vm_start = vm_update_steps::make(model::operation_kind::vm_start);
const Logic vm_stop = vm_update_steps::make(model::operation_kind::vm_stop);
const Logic vm_pause = vm_update_steps::make(model::operation_kind::vm_pause);
const Logic vm_resume = vm_update_steps::make(model::operation_kind::vm_resume);

}  // namespace bridgehead::reconcile::operations
