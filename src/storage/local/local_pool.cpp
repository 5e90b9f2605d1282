#include "storage/local/local_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "storage/disk_files.h"
#include "storage/export.h"
#include "storage/file_space.h"
#include "storage/import.h"
#include "storage/messages.h"
#include "storage/pool_trials.h"

namespace bridgehead::storage {
namespace fs = std::filesystem;

LocalPool::LocalPool(model::Pool pool, std::unique_ptr<CommandRunner> runner)
    : pool_(std::move(pool)), layout_(pool_.path), leases_(layout_.leases()), runner_(std::move(runner)) {}

model::PoolOnNode LocalPool::attach() {
  model::PoolOnNode state;
  const auto not_ready = [&](const Error& error) {
    state.message = error.describe();
    const std::lock_guard lock(mutex_);
    attached_.reset();
    return state;
  };
  if (auto made = make_layout(); !made) return not_ready(made.error());
  const std::string trial = make_uuid(random_);
  {
    const ActiveOwners::Entry active(active_, trial);
    auto abilities = try_abilities(layout_.staging(trial, "attach"));
    if (!abilities) return not_ready(abilities.error());
    state.abilities = *abilities;
  }
  auto space = space_of(layout_.root());
  if (!space) return not_ready(space.error());
  state.ready = true;
  state.total = space->total;
  state.available = space->available;
  log::info(pool_attached, "{}: {} on {}, {} free, direct I/O {}, reflink {}, locks {}", pool_.name,
            layout_.root().native(), state.abilities.file_system, space->available.human(), state.abilities.direct_io,
            state.abilities.reflink, state.abilities.locks);
  const std::lock_guard lock(mutex_);
  attached_ = state;
  return state;
}

Status LocalPool::make_layout() {
  if (!layout_.root().is_absolute()) {
    return fail(ErrorCode::invalid_argument, "the pool's path '{}' is not absolute", layout_.root().native());
  }
  // Before anything is made in it: whose directory is this?
  if (auto root = make_directories(layout_.root()); !root) return root;
  if (auto claimed = claim(); !claimed) return claimed;
  for (const auto& directory : {layout_.golden(), layout_.disks(), layout_.leases(), layout_.tmp()}) {
    if (auto made = make_directories(directory); !made) return made;
  }
  return sync_directory(layout_.root());
}

Status LocalPool::claim() {
  auto text = read_file(layout_.marker(), 64_KiB);
  if (text) {
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    const bool readable = json.is_object() && json.contains("pool") && json["pool"].is_string();
    if (readable && json["pool"].get<std::string>() == pool_.id.str()) return {};
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("{} belongs to another Bridgehead pool ({})", layout_.root().native(),
                    readable ? json["pool"].get<std::string>() : "its marker is unreadable"),
        fmt::format("Use another directory; or, if that pool is gone for good, delete {}.", layout_.marker().native()));
  }
  if (text.error().code != ErrorCode::not_found) return forward(text);
  static const std::set<std::string> kOurs{"golden", "disks", "leases", "tmp", "lost+found"};
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(layout_.root(), failed)) {
    const std::string name = entry.path().filename().native();
    if (kOurs.contains(name) || name.starts_with(layout_.marker().filename().native())) continue;
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("{} is neither empty nor a pool (it holds '{}')", layout_.root().native(), name),
                          "Use an empty or a new directory.");
  }
  if (failed) return fail_errno(failed.value(), fmt::format("list {}", layout_.root().native()));
  const nlohmann::json json{{"pool", pool_.id.str()}, {"name", pool_.name}};
  return write_file_atomic(layout_.marker(), json.dump() + "\n", 0644);
}

Status LocalPool::check_attached() const {
  const std::lock_guard lock(mutex_);
  if (attached_) return {};
  return fail(ErrorCode::failed_precondition, "pool {} is not attached on this node", pool_.name);
}

model::PoolAbilities LocalPool::abilities() const {
  const std::lock_guard lock(mutex_);
  return attached_ ? attached_->abilities : model::PoolAbilities{};
}

Result<model::PoolOnNode> LocalPool::status() const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  auto space = space_of(layout_.root());
  if (!space) return forward(space);
  const std::lock_guard lock(mutex_);
  if (!attached_) return fail(ErrorCode::failed_precondition, "pool {} is not attached on this node", pool_.name);
  model::PoolOnNode state = *attached_;
  state.total = space->total;
  state.available = space->available;
  return state;
}

Result<StoredImage> LocalPool::import_golden(const ImportRequest& request, const ProgressSink& progress,
                                             std::stop_token stop) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (!is_uuid(request.operation.str()) || !is_uuid(request.image.id.str())) {
    return fail(ErrorCode::invalid_argument, "an import needs the ids of its operation and image");
  }
  const ActiveOwners::Entry active(active_, request.operation.str());
  return import_image({layout_, *runner_, abilities()}, request, progress, std::move(stop));
}

Result<StoredImage> LocalPool::create_disk(const model::Image& disk, const model::Image* golden, Bytes size) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (!is_uuid(disk.id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not an image's id", disk.id.str());
  const ActiveOwners::Entry active(active_, disk.id.str());
  if (auto there = find_disk(layout_, disk.id); there || there.error().code != ErrorCode::not_found) return there;
  const auto staging = layout_.staging(disk.id.str(), "disk");
  ::unlink(staging.c_str());  // of an attempt before a crash
  auto format = model::ImageFormat::raw;
  Status made;
  if (golden != nullptr) {
    auto parent = stored_file(layout_.golden_file(golden->id), model::ImageFormat::raw);
    if (!parent) return forward(parent);
    made = make_clone(staging, *parent, whole_blocks(std::max(size, parent->virtual_size)), format);
  } else if (size.count() == 0) {
    return fail(ErrorCode::invalid_argument, "a blank disk needs a size");
  } else {
    made = write_blank_disk(staging, whole_blocks(size));
  }
  if (made) made = publish_disk(staging, layout_.disk_file(disk.id, format));
  if (!made) {
    ::unlink(staging.c_str());
    return forward(made);
  }
  return find_disk(layout_, disk.id);
}

Status LocalPool::make_clone(const fs::path& staging, const StoredImage& golden, Bytes size,
                             model::ImageFormat& format) {
  if (abilities().reflink) {
    auto cloned = write_reflink_disk(staging, golden.path, size);
    if (!cloned) return forward(cloned);
    if (*cloned) return {};
  }
  format = model::ImageFormat::qcow2;
  return write_overlay_disk(staging, golden.path, size);
}

// The staged file is synced already.
Status LocalPool::publish_disk(const fs::path& staging, const fs::path& path) const {
  if (::rename(staging.c_str(), path.c_str()) != 0) return fail_errno(errno, fmt::format("publish {}", path.native()));
  return sync_directory(path.parent_path());
}

Result<StoredImage> LocalPool::grow_disk(const model::Image& disk, Bytes size) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const ActiveOwners::Entry active(active_, disk.id.str());
  auto there = find_disk(layout_, disk.id);
  if (!there) return there;
  size = whole_blocks(size);
  if (size < there->virtual_size) {
    return fail(ErrorCode::invalid_argument, "a disk of {} can't shrink to {}", there->virtual_size.human(),
                size.human());
  }
  if (size == there->virtual_size) return there;
  if (auto grown = grow_disk_file(*runner_, *there, size); !grown) return forward(grown);
  return find_disk(layout_, disk.id);
}

Result<StoredImage> LocalPool::inspect(const model::Image& image) const {
  if (image.role == model::ImageRole::disk) return find_disk(layout_, image.id);
  return stored_file(layout_.golden_file(image.id), model::ImageFormat::raw);
}

Status LocalPool::remove(const model::Image& image) {
  if (!is_uuid(image.id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not an image's id", image.id.str());
  const ActiveOwners::Entry active(active_, image.id.str());
  if (image.role == model::ImageRole::golden) {
    if (auto free = refuse_if_backing(image); !free) return free;
    if (auto removed = remove_file(layout_.golden_file(image.id)); !removed) return removed;
    return sync_directory(layout_.golden());
  }
  ::unlink(layout_.staging(image.id.str(), "disk").c_str());
  for (const auto format : {model::ImageFormat::raw, model::ImageFormat::qcow2}) {
    if (auto removed = remove_file(layout_.disk_file(image.id, format)); !removed) return removed;
  }
  return sync_directory(layout_.disks());
}

// The manager refuses to delete an image that is used. This is the last line: a disk without its backing file is lost.
Status LocalPool::refuse_if_backing(const model::Image& golden) const {
  auto users = disks_backed_by(layout_, layout_.golden_file(golden.id));
  if (!users) return forward(users);
  if (users->empty()) return {};
  std::string list;
  for (const auto& user : *users) list += (list.empty() ? "" : ", ") + user.stem().native();
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("image {} is the base of these disks: {}", golden.id, list), "Delete them first.");
}

Status LocalPool::export_image(const model::Image& image, model::ImageFormat format,
                               const std::function<bool(std::string_view)>& sink, const ProgressSink& progress,
                               std::stop_token stop) const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  auto stored = inspect(image);
  if (!stored) return forward(stored);
  const std::string owner = make_uuid(random_);
  const ActiveOwners::Entry active(active_, owner);
  return export_stored_image(*runner_, *stored, format, layout_.staging(owner, "export"), sink, progress,
                             std::move(stop));
}

Status LocalPool::stamp_lease(const LeaseStamp& stamp) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const ActiveOwners::Entry active(active_, stamp.vm.str());
  return leases_.stamp(stamp, layout_.staging(stamp.vm.str(), "lease"));
}

Result<std::optional<LeaseStamp>> LocalPool::read_lease(const model::VmId& vm) const { return leases_.read(vm); }

Status LocalPool::remove_lease(const model::VmId& vm) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return leases_.remove(vm);
}

Status LocalPool::collect_garbage(const std::function<bool(const model::OperationId&)>& alive) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  std::error_code failed;
  Status result;
  for (const auto& entry : fs::directory_iterator(layout_.tmp(), failed)) {
    const auto owner = PoolLayout::staging_owner(entry.path());
    if (owner && alive(model::OperationId(*owner))) continue;
    active_.unless_active(owner.value_or(""), [&] {
      auto removed = remove_file(entry.path());
      if (removed) log::info(garbage_removed, "{}", entry.path().native());
      if (!removed && result) result = removed;
    });
  }
  if (failed) return fail_errno(failed.value(), fmt::format("list {}", layout_.tmp().native()));
  return result;
}

}  // namespace bridgehead::storage
