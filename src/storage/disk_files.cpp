#include "storage/disk_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/ids.h"
#include "storage/file_space.h"
#include "storage/qcow2_image.h"
#include "storage/qcow2_overlay.h"

namespace bridgehead::storage {
namespace {

constexpr mode_t kDiskMode = 0660;

Status finish_raw(int fd, Bytes size) {
  if (::fchmod(fd, kDiskMode) != 0) return fail_errno(errno, "set the disk's mode");
  if (::ftruncate(fd, static_cast<off_t>(size.count())) != 0) return fail_space(errno, "size the disk");
  if (::fsync(fd) != 0) return fail_space(errno, "sync the disk");
  return {};
}

}  // namespace

Bytes whole_blocks(Bytes size) { return Bytes((size.count() + 4095) / 4096 * 4096); }

Status finish_disk(int file) {
  if (::fchmod(file, kDiskMode) != 0) return fail_errno(errno, "set the disk's mode");
  if (::fsync(file) != 0) return fail_space(errno, "sync the disk");
  return {};
}

Status write_blank_disk(int file, Bytes size) { return finish_raw(file, size); }

Status finish_copied_disk(const std::filesystem::path& path, Bytes size) {
  // Read-only as its golden image was.
  if (::chmod(path.c_str(), kDiskMode) != 0) return fail_errno(errno, "set the disk's mode");
  auto file = open_file(path, O_RDWR);
  if (!file) return forward(file);
  forget_digest(file->get());
  return finish_raw(file->get(), size);
}

Result<bool> write_reflink_disk(const std::filesystem::path& path, const std::filesystem::path& golden, Bytes size) {
  auto source = open_file(golden, O_RDONLY);
  if (!source) return forward(source);
  auto cloned = clone_file(source->get(), path);
  if (!cloned || !*cloned) return cloned;
  auto file = open_file(path, O_RDWR);
  if (!file) return forward(file);
  if (auto finished = finish_raw(file->get(), size); !finished) return forward(finished);
  return true;
}

Status write_overlay_disk(int file, const std::string& backing_name, Bytes size) {
  auto bytes = qcow2_overlay(backing_name, size);
  if (!bytes) return forward(bytes);
  if (auto written = write_all(file, *bytes, "write the disk"); !written) return written;
  return finish_disk(file);
}

Result<StoredImage> find_disk(const PoolLayout& layout, const model::ImageId& id) {
  struct stat status {};
  const auto mark = layout.incomplete_mark(id);
  if (::stat(mark.c_str(), &status) == 0) {
    return fail(ErrorCode::not_found, "disk {} is not in this pool: only a part of a copy is", id);
  }
  if (errno != ENOENT) return fail_errno(errno, fmt::format("look for {}", mark.native()));
  auto raw = stored_file(layout.disk_file(id, model::ImageFormat::raw), model::ImageFormat::raw);
  if (raw || raw.error().code != ErrorCode::not_found) return raw;
  auto overlay = stored_file(layout.disk_file(id, model::ImageFormat::qcow2), model::ImageFormat::qcow2);
  if (!overlay && overlay.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "disk {} is not in this pool", id);
  }
  if (!overlay) return overlay;
  auto file = open_file(overlay->path, O_RDONLY);
  if (!file) return forward(file);
  auto header = read_own_qcow2_header(file->get());
  if (!header) return forward(header);
  // QEMU may write this header. Root's tools follow it, so it may name a golden image of this pool and nothing else.
  const auto& backing = header->backing_file;
  const auto golden = std::filesystem::path(backing).filename();
  const bool ours = is_uuid(golden.stem().native()) && golden.extension() == ".raw" &&
                    (backing == PoolLayout::backing_name(golden) || backing == layout.golden() / golden);
  if (!backing.empty() && !ours) {
    return fail_with_hint(ErrorCode::permission_denied,
                          fmt::format("disk {} names {} as its backing file", id, backing),
                          "Its header isn't as Bridgehead made it. Look at who had access to it.");
  }
  overlay->virtual_size = header->virtual_size;
  return overlay;
}

Status check_offline(int fd) {
  // Byte 100 + 1 is the lock of BLK_PERM_WRITE (RAW_LOCK_PERM_BASE in QEMU's block/file-posix.c).
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 101;
  lock.l_len = 1;
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return {};
  return fail_with_hint(ErrorCode::failed_precondition, "the disk is in use by a running guest",
                        "Stop the guest first.");
}

Status grow_disk_file(CommandRunner& runner, const StoredImage& disk, Bytes size) {
  if (disk.format == model::ImageFormat::raw) {
    auto file = open_file(disk.path, O_RDWR);
    if (!file) return forward(file);
    if (auto offline = check_offline(file->get()); !offline) return offline;
    if (::ftruncate(file->get(), static_cast<off_t>(size.count())) != 0) {
      return fail_space(errno, fmt::format("grow {}", disk.path.native()));
    }
    if (::fsync(file->get()) != 0) return fail_space(errno, "sync the disk");
    return {};
  }
  // A larger L1 table may have to move, and internal snapshots hold others: QEMU's own code does that right.
  auto done =
      runner.run({.program = "qemu-img",
                  .arguments = {"resize", "-q", "-f", "qcow2", disk.path.native(), std::to_string(size.count())}});
  if (done) return {};
  if (done.error().message.find("lock") != std::string::npos) {
    return fail_with_hint(ErrorCode::failed_precondition, "the disk is in use by a running guest",
                          "Resize it through the guest, or stop the guest first.");
  }
  return forward(done);
}

Result<std::vector<std::filesystem::path>> disks_backed_by(const PoolLayout& layout,
                                                           const std::filesystem::path& golden) {
  std::vector<std::filesystem::path> users;
  const auto disks = list_directory(layout.disks());
  if (!disks && disks.error().code == ErrorCode::not_found) return users;
  if (!disks) return forward(disks);
  for (const auto& disk : *disks) {
    if (disk.extension() != ".qcow2") continue;
    auto file = open_file(disk, O_RDONLY);
    if (!file && file.error().code == ErrorCode::not_found) continue;  // just deleted
    if (!file) return forward(file);
    auto header = read_own_qcow2_header(file->get());
    // Unreadable: nobody knows what it needs, so nothing may be taken from under it.
    if (!header) return fail(ErrorCode::failed_precondition, "{}: {}", disk.native(), header.error().message);
    // Whole paths were written before pools could be mounted elsewhere on another node.
    if (header->backing_file == PoolLayout::backing_name(golden) || header->backing_file == golden.native()) {
      users.push_back(disk);
    }
  }
  return users;
}

}  // namespace bridgehead::storage
