// DirectoryPool: how it becomes usable on a node: what is mounted, what its file system can do, whose directory it is,
// and whether all of that is still so.
#include "storage/directory_pool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "model/enum_names.h"
#include "storage/file_space.h"
#include "storage/messages.h"
#include "storage/pool_trials.h"
#include "storage/shared_use.h"

namespace bridgehead::storage {
namespace fs = std::filesystem;
namespace {

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

}  // namespace

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

}  // namespace bridgehead::storage
