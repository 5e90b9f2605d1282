#include "storage/directory_pool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include <algorithm>
#include <cerrno>
#include <set>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "model/enum_names.h"
#include "storage/disk_files.h"
#include "storage/export.h"
#include "storage/file_space.h"
#include "storage/messages.h"
#include "storage/moosefs/moosefs_tools.h"
#include "storage/pool_trials.h"
#include "storage/shared_use.h"

namespace bridgehead::storage {
namespace fs = std::filesystem;
namespace {

constexpr auto kForgottenAfter = std::chrono::hours(7 * 24);

Status tell_targets(const LayoutControl* layouts, model::PoolOnNode& state) {
  if (layouts == nullptr) return {};
  const auto targets = layouts->targets();
  if (!targets) return forward(targets);
  state.targets = static_cast<std::uint32_t>(targets->size());
  state.targets_down.clear();
  for (const auto& target : *targets) {
    if (target.state == TargetState::up) continue;
    state.targets_down.push_back(target.name + (target.state == TargetState::down ? ": down" : ": takes no new files"));
  }
  return {};
}

// A staged file, or the record of an import's parts.
Status remove_staged(const fs::path& path) {
  std::error_code failed;
  if (!fs::is_directory(fs::symlink_status(path, failed))) return remove_file(path);
  fs::remove_all(path, failed);
  if (failed) return fail_errno(failed.value(), fmt::format("remove {}", path.native()));
  return {};
}

// What other nodes left in their places and will never collect, because they are gone. Best effort.
void remove_forgotten(const fs::path& own) {
  for (const auto& place : list_directory(own.parent_path()).value_or(std::vector<fs::path>())) {
    if (place == own) continue;
    for (const auto& file : list_directory(place).value_or(std::vector<fs::path>())) {
      std::error_code failed;
      const auto written = fs::last_write_time(file, failed);
      if (failed || fs::file_time_type::clock::now() - written < kForgottenAfter) continue;
      if (remove_staged(file)) log::info(garbage_removed, "{}", file.native());
    }
  }
}

// As the file system knows it without asking its targets, where it can; `known` when it doesn't say.
Bytes allocated_now(const fs::path& file, Bytes known) {
  struct statx status {};
  if (::statx(AT_FDCWD, file.c_str(), AT_STATX_DONT_SYNC, STATX_BLOCKS, &status) != 0) return known;
  return Bytes(std::uint64_t{status.stx_blocks} * 512);
}

}  // namespace

DirectoryPool::DirectoryPool(model::Pool pool, PoolLayout layout, PoolParts parts)
    : pool_(std::move(pool)),
      layout_(std::move(layout)),
      leases_(layout_.leases()),
      runner_(std::move(parts.runner)),
      mount_(std::move(parts.mount)) {}

model::PoolOnNode DirectoryPool::attach() {
  auto state = try_attach();
  const std::lock_guard lock(mutex_);
  if (!state) {
    attached_.reset();
    return {.message = state.error().describe()};
  }
  attached_ = *state;
  log::info(pool_attached, "{}: {} on {}, {} free, direct I/O {}, clones by {}, locks {}", pool_.name,
            layout_.root().native(), state->abilities.file_system, state->available.human(), state->abilities.direct_io,
            model::to_string(state->abilities.clone), state->abilities.locks);
  return std::move(*state);
}

Result<model::PoolOnNode> DirectoryPool::try_attach() {
  if (!layout_.root().is_absolute()) {
    return fail(ErrorCode::invalid_argument, "the pool's path '{}' is not absolute", layout_.root().native());
  }
  if (mount_) {
    if (auto mounted = mount_->ensure(); !mounted) return forward(mounted);
  }
  const auto mount = find_mount();
  if (!mount) return forward(mount);
  if (auto made = make_layout(); !made) {
    if (made.error().code == ErrorCode::permission_denied && made.error().hint.empty() &&
        model::is_shared(pool_.driver)) {
      made.error().hint =
          "The file system refuses this node's root: an NFS export needs no_root_squash, MooseFS maproot=0, Lustre no "
          "root squash and a user that its MDS knows (or mdt.*.identity_upcall=NONE).";
    }
    return forward(made);
  }
  auto abilities = try_abilities_here(*mount);
  if (!abilities) return forward(abilities);
  auto space = space_of(layout_.root());
  if (!space) return forward(space);
  model::PoolOnNode state{
      .ready = true, .total = space->total, .available = space->available, .abilities = std::move(*abilities)};
  if (mount_ && *mount) state.mounted = (*mount)->describe();
  auto place = place_of(layout_.root());
  if (!place) return forward(place);
  if (*mount && (!place->mount || !place->mount->is_same(**mount))) {
    return fail(ErrorCode::unavailable, "what is mounted at {} changed meanwhile", layout_.root().native());
  }
  {
    const std::lock_guard lock(mutex_);
    place_ = std::move(*place);
  }
  if (auto told = tell_targets(layouts().get(), state); !told) return forward(told);
  return state;
}

// What a shared pool lies on, judged.
Result<std::optional<MountEntry>> DirectoryPool::find_mount() const {
  if (!model::is_shared(pool_.driver)) return std::optional<MountEntry>();
  auto found = mount_ ? mount_->entry() : mount_under(layout_.root());
  if (!found) return forward(found);
  if (auto fit = check_shared_use(*found); !fit) return forward(fit);
  return std::optional(std::move(*found));
}

Result<model::PoolAbilities> DirectoryPool::try_abilities_here(const std::optional<MountEntry>& mount) {
  const std::string trial = make_uuid(random_);
  const ActiveOwners::Entry active(active_, trial);
  std::shared_ptr<const LayoutControl> control;
  if (mount) control = layout_control(pool_, layout_.root(), *mount, runner_);
  {
    const std::lock_guard lock(mutex_);
    layouts_ = control;
  }
  // Laid out as disks are: one that lands on a target that is down would hang.
  auto abilities =
      try_abilities(layout_.staging(trial, "attach"), [this](const fs::path& file) { return create_file(file, {}); });
  if (!abilities || !mount) return abilities;
  abilities->file_system = mount->file_system();
  if (!abilities->locks) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("locks don't hold on {} ({})", layout_.root().native(), mount->describe()),
                          "Mount it so that they do: without them two hosts could open one disk.");
  }
  if (mount->file_system() == "moosefs" && !abilities->reflink &&
      try_snapshot(*runner_, layout_.staging(trial, "snapshot"), layout_.staging(trial, "copy"))) {
    abilities->clone = model::CloneMethod::snapshot;
  }
  if (!control) return abilities;
  if (auto tried = try_layouts(layout_.staging(trial, "layout")); !tried) return forward(tried);
  abilities->layouts = true;
  return abilities;
}

// What the pool's options ask for must be possible now, not first when an image is made.
Status DirectoryPool::try_layouts(const fs::path& file) const {
  for (const auto role : {model::ImageRole::golden, model::ImageRole::disk}) {
    auto made = create_file(file, {.role = role});
    ::unlink(file.c_str());
    if (!made) return forward(made);
  }
  return {};
}

Status DirectoryPool::detach() {
  {
    const std::lock_guard lock(mutex_);
    attached_.reset();
  }
  return mount_ ? mount_->release() : Status{};
}

std::shared_ptr<const LayoutControl> DirectoryPool::layouts() const {
  const std::lock_guard lock(mutex_);
  return layouts_;
}

Result<UniqueFd> DirectoryPool::create_file(const fs::path& file, const LayoutNeed& need) const {
  const auto control = layouts();
  if (!control) return open_file(file, O_RDWR | O_CREAT | O_EXCL);
  auto layout = control->choose(need);
  if (!layout) return forward(layout);
  return control->create(file, *layout);
}

Status DirectoryPool::make_layout() {
  // Before anything is made in it: whose directory is this?
  if (auto root = make_directories(layout_.root()); !root) return root;
  if (auto claimed = claim(); !claimed) return claimed;
  for (const auto& directory : {layout_.golden(), layout_.disks(), layout_.leases(), layout_.nodes(), layout_.tmp()}) {
    if (auto made = make_directories(directory); !made) return made;
  }
  return sync_directory(layout_.root());
}

// Whose it is; not_found if nobody has claimed it.
Status DirectoryPool::check_marker() const {
  auto text = read_file(layout_.marker(), 64_KiB);
  if (!text) return forward(text);
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const bool readable = json.is_object() && json.contains("pool") && json["pool"].is_string();
  if (readable && json["pool"].get<std::string>() == pool_.id.str()) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition,
      fmt::format("{} belongs to another Bridgehead pool ({})", layout_.root().native(),
                  readable ? json["pool"].get<std::string>() : "its marker is unreadable"),
      fmt::format("Use another directory; or, if that pool is gone for good, delete {}.", layout_.marker().native()));
}

// Other nodes, and other managers, may do it at the same moment: each writes a file of its own, of which one becomes
// the marker, whole and for good. What counts is what is read then.
Status DirectoryPool::claim() {
  if (auto claimed = check_marker(); claimed || claimed.error().code != ErrorCode::not_found) return claimed;
  static const std::set<std::string> kOurs{"golden", "disks", "leases", "nodes", "tmp", "lost+found"};
  const auto present = list_directory(layout_.root());
  if (!present) return forward(present);
  for (const auto& entry : *present) {
    const std::string name = entry.filename().native();
    if (kOurs.contains(name) || name.starts_with(layout_.marker().filename().native())) continue;
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("{} is neither empty nor a pool (it holds '{}')", layout_.root().native(), name),
                          "Use an empty or a new directory.");
  }
  const nlohmann::json json{{"pool", pool_.id.str()}, {"name", pool_.name}};
  const fs::path own = layout_.marker().native() + "." + make_uuid(random_);
  if (auto written = write_file_atomic(own, json.dump() + "\n", 0644); !written) return written;
  const int error = ::link(own.c_str(), layout_.marker().c_str()) == 0 ? 0 : errno;
  const bool no_links = error == EPERM || error == EOPNOTSUPP || error == ENOSYS;
  Status made;
  if (no_links && ::rename(own.c_str(), layout_.marker().c_str()) != 0) made = fail_errno(errno, "name the marker");
  if (error != 0 && error != EEXIST && !no_links) made = fail_errno(error, "name the marker");
  if (auto removed = remove_file(own); !removed) return removed;
  if (!made) return made;
  if (auto synced = sync_directory(layout_.root()); !synced) return synced;
  return check_marker();
}

Status DirectoryPool::check_attached() const {
  {
    const std::lock_guard lock(mutex_);
    if (!attached_) {
      return fail(ErrorCode::failed_precondition, "pool {} is not attached on this node", pool_.name);
    }
  }
  return check_mounted();
}

// Where its file system is gone, the directory under it looks like an empty pool: disks would seem to be missing, be
// made anew there, be taken for removed. Never touches the file system.
Status DirectoryPool::check_mounted() const {
  Place place;
  {
    const std::lock_guard lock(mutex_);
    place = place_;
  }
  const auto table = read_mount_table();
  if (!table) return forward(table);
  const auto now = mount_of(*table, place.root);
  if (now ? place.mount && now->is_same(*place.mount) : !place.mount) return {};
  const auto told = [](const std::optional<MountEntry>& mount) { return mount ? mount->describe() : "no mount"; };
  return fail_with_hint(ErrorCode::unavailable,
                        fmt::format("the file system of pool {} is gone: {} was on {} and is on {}", pool_.name,
                                    place.root.native(), told(place.mount), told(now)),
                        "Mount it again; what the agents mount themselves they mount anew.");
}

model::PoolAbilities DirectoryPool::abilities() const {
  const std::lock_guard lock(mutex_);
  return attached_ ? attached_->abilities : model::PoolAbilities{};
}

Result<std::filesystem::path> DirectoryPool::directory() const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return layout_.root();
}

Result<model::PoolOnNode> DirectoryPool::status() const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  auto space = space_of(layout_.root());
  if (!space) return forward(space);
  model::PoolOnNode state;
  {
    const std::lock_guard lock(mutex_);
    if (!attached_) return fail(ErrorCode::failed_precondition, "pool {} is not attached on this node", pool_.name);
    state = *attached_;
  }
  state.total = space->total;
  state.available = space->available;
  if (auto told = tell_targets(layouts().get(), state); !told) return forward(told);
  return state;
}

Result<StoredImage> DirectoryPool::import_golden(const ImportRequest& request, const ProgressSink& progress,
                                                 std::stop_token stop) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (!is_uuid(request.operation.str()) || !is_uuid(request.image.id.str())) {
    return fail(ErrorCode::invalid_argument, "an import needs the ids of its operation and image");
  }
  const ActiveOwners::Entry active(active_, request.operation.str());
  return if_still_mounted(import_image(import_environment(request.image.layout), request, progress, std::move(stop)));
}

Status DirectoryPool::help_import(const HelpRequest& request, const ProgressSink& progress, std::stop_token stop) {
  if (auto attached = check_attached(); !attached) return attached;
  if (!is_uuid(request.operation.str()) || !is_uuid(request.leader.str()) || !is_uuid(request.image.id.str())) {
    return fail(ErrorCode::invalid_argument, "helping needs the ids of the operation, the leader and the image");
  }
  if (layout_.node().empty()) return fail(ErrorCode::failed_precondition, "pool {} isn't shared", pool_.name);
  return if_still_mounted(storage::help_import(import_environment({}), request, progress, std::move(stop)));
}

ImportEnvironment DirectoryPool::import_environment(model::LayoutWish wish) const {
  const auto control = layouts();
  return {.layout = layout_,
          .runner = *runner_,
          .abilities = abilities(),
          .create =
              [this, wish](const fs::path& file, Bytes size) {
                return create_file(file, {.role = model::ImageRole::golden, .size = size, .wish = wish});
              },
          .order = control ? control->copy_order() : CopyOrder{}};
}

Result<StoredImage> DirectoryPool::create_disk(const model::Image& disk, const model::Image* golden, Bytes size) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (!is_uuid(disk.id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not an image's id", disk.id.str());
  const ActiveOwners::Entry active(active_, disk.id.str());
  return if_still_mounted(make_disk(disk, golden, size));
}

Result<StoredImage> DirectoryPool::make_disk(const model::Image& disk, const model::Image* golden, Bytes size) {
  if (auto there = find_disk(layout_, disk.id); there || there.error().code != ErrorCode::not_found) return there;
  const auto staging = layout_.staging(disk.id.str(), "disk");
  ::unlink(staging.c_str());  // of an attempt before a crash
  auto format = model::ImageFormat::raw;
  Status made;
  if (golden != nullptr) {
    auto parent = stored_file(layout_.golden_file(golden->id), model::ImageFormat::raw);
    if (!parent) return forward(parent);
    made = make_clone(staging, *parent,
                      {.size = whole_blocks(std::max(size, parent->virtual_size)), .wish = disk.layout}, format);
  } else if (size.count() == 0) {
    return fail(ErrorCode::invalid_argument, "a blank disk needs a size");
  } else {
    auto file = create_file(staging, {.size = whole_blocks(size), .wish = disk.layout});
    made = file ? write_blank_disk(file->get(), whole_blocks(size)) : forward(file);
  }
  if (made) made = publish_disk(staging, layout_.disk_file(disk.id, format));
  if (!made) {
    ::unlink(staging.c_str());
    return forward(made);
  }
  return find_disk(layout_, disk.id);
}

Status DirectoryPool::make_clone(const fs::path& staging, const StoredImage& golden, const LayoutNeed& need,
                                 model::ImageFormat& format) {
  const auto method = abilities().clone;
  if (method == model::CloneMethod::reflink) {
    auto cloned = write_reflink_disk(staging, golden.path, need.size);
    if (!cloned) return forward(cloned);
    if (*cloned) return {};
  }
  if (method == model::CloneMethod::snapshot) {
    auto copied = runner_->run(moosefs::snapshot_command(golden.path, staging));
    return copied ? finish_copied_disk(staging, need.size) : forward(copied);
  }
  format = model::ImageFormat::qcow2;
  auto file = create_file(staging, need);
  if (!file) return forward(file);
  return write_overlay_disk(file->get(), PoolLayout::backing_name(golden.path), need.size);
}

// The staged file is synced already.
Status DirectoryPool::publish_disk(const fs::path& staging, const fs::path& path) const {
  if (::rename(staging.c_str(), path.c_str()) != 0) return fail_errno(errno, fmt::format("publish {}", path.native()));
  return sync_directory(path.parent_path());
}

Result<StoredImage> DirectoryPool::grow_disk(const model::Image& disk, Bytes size) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const ActiveOwners::Entry active(active_, disk.id.str());
  return if_still_mounted(enlarge_disk(disk, whole_blocks(size)));
}

Result<StoredImage> DirectoryPool::enlarge_disk(const model::Image& disk, Bytes size) {
  auto there = find_disk(layout_, disk.id);
  if (!there) return there;
  if (size < there->virtual_size) {
    return fail(ErrorCode::invalid_argument, "a disk of {} can't shrink to {}", there->virtual_size.human(),
                size.human());
  }
  if (size == there->virtual_size) return there;
  if (auto grown = grow_disk_file(*runner_, *there, size); !grown) return forward(grown);
  return find_disk(layout_, disk.id);
}

Result<StoredImage> DirectoryPool::inspect(const model::Image& image) const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return if_still_mounted(image.role == model::ImageRole::disk
                              ? find_disk(layout_, image.id)
                              : stored_file(layout_.golden_file(image.id), model::ImageFormat::raw));
}

Status DirectoryPool::remove(const model::Image& image) {
  if (auto attached = check_attached(); !attached) return attached;
  if (!is_uuid(image.id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not an image's id", image.id.str());
  const ActiveOwners::Entry active(active_, image.id.str());
  return if_still_mounted(remove_files(image));
}

Status DirectoryPool::remove_files(const model::Image& image) const {
  if (image.role == model::ImageRole::golden) {
    if (auto free = refuse_if_backing(image); !free) return free;
    if (auto removed = remove_file(layout_.golden_file(image.id)); !removed) return removed;
    return sync_directory(layout_.golden());
  }
  ::unlink(layout_.staging(image.id.str(), "disk").c_str());
  for (const auto format : {model::ImageFormat::raw, model::ImageFormat::qcow2}) {
    if (auto removed = remove_file(layout_.disk_file(image.id, format)); !removed) return removed;
  }
  // Last: a file without it would count as whole.
  for (const auto& mark : {layout_.incomplete_mark(image.id), layout_.copied_mark(image.id)}) {
    if (auto removed = remove_file(mark); !removed) return removed;
  }
  return sync_directory(layout_.disks());
}

// The manager refuses to delete an image that is used. This is the last line: a disk without its backing file is lost.
Status DirectoryPool::refuse_if_backing(const model::Image& golden) const {
  auto users = disks_backed_by(layout_, layout_.golden_file(golden.id));
  if (!users) return forward(users);
  if (users->empty()) return {};
  std::string list;
  for (const auto& user : *users) list += (list.empty() ? "" : ", ") + user.stem().native();
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("image {} is the base of these disks: {}", golden.id, list), "Delete them first.");
}

Status DirectoryPool::export_image(const model::Image& image, model::ImageFormat format,
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

// Only layouts are asked for, and of files on targets that work their size: what lies on a dead one must not be
// touched.
Result<model::PoolSurvey> DirectoryPool::survey(const std::vector<model::Image>& images) const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  model::PoolSurvey survey;
  const auto control = layouts();
  if (!control) return survey;
  survey.layouts = true;
  auto targets = control->targets();
  if (!targets) return forward(targets);
  survey.targets = std::move(*targets);
  for (const auto& image : images) {
    if (!is_uuid(image.id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not an image's id", image.id.str());
    const auto file = image.role == model::ImageRole::golden ? layout_.golden_file(image.id)
                                                             : layout_.disk_file(image.id, image.format);
    if (::access(file.c_str(), F_OK) != 0 && errno == ENOENT) continue;  // removed meanwhile
    auto layout = control->read(file);
    if (!layout && layout.error().code == ErrorCode::data_corrupt) continue;  // laid out in a way that we don't know
    if (!layout) return forward(layout);
    const auto allocated =
        model::lies_on_dead(*layout, survey.targets) ? image.allocated : allocated_now(file, image.allocated);
    survey.images.push_back(
        {.image = image.id, .role = image.role, .allocated = allocated, .layout = std::move(*layout)});
  }
  return if_still_mounted(Result<model::PoolSurvey>(std::move(survey)));
}

Status DirectoryPool::stamp_lease(const LeaseStamp& stamp) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const ActiveOwners::Entry active(active_, stamp.vm.str());
  return if_still_mounted(leases_.stamp(stamp, layout_.staging(stamp.vm.str(), "lease")));
}

Result<std::optional<LeaseStamp>> DirectoryPool::read_lease(const model::VmId& vm) const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return if_still_mounted(leases_.read(vm));
}

Status DirectoryPool::remove_lease(const model::VmId& vm) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return if_still_mounted(leases_.remove(vm));
}

// In its place: others find it by its name at any time, and on cluster file systems a rename costs a server's turn.
Status DirectoryPool::write_beat(const model::NodeId& node, std::uint64_t count) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (!is_uuid(node.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a node's id", node.str());
  const auto file = open_file(layout_.beat_file(node), O_WRONLY | O_CREAT, 0644);
  if (!file) return forward(file);
  if (auto written = write_all(file->get(), fmt::format("{:020}\n", count), "the node's count"); !written)
    return written;
  if (::fdatasync(file->get()) != 0) return fail_errno(errno, "write the node's count");
  return if_still_mounted(Status());
}

Result<std::uint64_t> DirectoryPool::read_beat(const model::NodeId& node) const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (!is_uuid(node.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a node's id", node.str());
  const auto text = read_file(layout_.beat_file(node), 64_B);
  if (!text) return if_still_mounted(Result<std::uint64_t>(forward(text)));
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), count);
  if (error != std::errc()) return fail(ErrorCode::data_corrupt, "the node's count in the pool is no number");
  return if_still_mounted(Result<std::uint64_t>(count));
}

Status DirectoryPool::collect_garbage(const std::function<bool(const model::OperationId&)>& alive) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const auto files = list_directory(layout_.tmp());
  if (!files) return forward(files);
  Status result;
  for (const auto& file : *files) {
    const auto owner = PoolLayout::staging_owner(file);
    if (owner && alive(model::OperationId(*owner))) continue;
    active_.unless_active(owner.value_or(""), [&] {
      auto removed = remove_staged(file);
      if (removed) log::info(garbage_removed, "{}", file.native());
      if (!removed && result) result = removed;
    });
  }
  if (model::is_shared(pool_.driver)) remove_forgotten(layout_.tmp());
  return result;
}

}  // namespace bridgehead::storage
