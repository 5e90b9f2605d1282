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
#include "storage/claim_file.h"
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

Status DirectoryPool::stamp_lease(const model::LeaseClaim& claim) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const ActiveOwners::Entry active(active_, claim.vm.str());
  return if_still_mounted(leases_.stamp(claim, layout_.staging(claim.vm.str(), "lease")));
}

Status DirectoryPool::change_terms(const model::LeaseClaim& own) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const ActiveOwners::Entry active(active_, own.vm.str());
  return if_still_mounted(leases_.change_terms(own, layout_.staging(own.vm.str(), "lease-terms")));
}

Result<std::optional<model::LeaseStamp>> DirectoryPool::read_lease(const model::VmId& vm) const {
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

Status DirectoryPool::write_claim(const model::NodeId& node, std::uint64_t claim) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return if_still_mounted(ClaimFile(layout_.claim_file(node)).write(node, claim, claim));
}

Status DirectoryPool::remove_claim(const model::NodeId& node, std::uint64_t claim) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return if_still_mounted(ClaimFile(layout_.claim_file(node)).write(node, claim, 0));
}

Result<std::vector<std::uint64_t>> DirectoryPool::read_claims(const model::NodeId& node) const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  return if_still_mounted(ClaimFile(layout_.claim_file(node)).read(node));
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
