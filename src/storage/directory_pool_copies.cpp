// DirectoryPool: disks that come from other pools, and disks that become independent of their golden images.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "storage/convert.h"
#include "storage/copy_engine.h"
#include "storage/directory_pool.h"
#include "storage/disk_files.h"
#include "storage/file_space.h"
#include "storage/qcow2_image.h"

namespace bridgehead::storage {
namespace fs = std::filesystem;
namespace {

Status copy_raw(UniqueFd source, int target, const CopyOptions& options, const ProgressSink& progress,
                const std::stop_token& stop) {
  const auto image = open_raw_image(std::move(source));
  if (!image) return forward(image);
  const auto copied = copy_image(*image, target, options, progress, stop);
  return copied ? Status{} : forward(copied);
}

}  // namespace

Status DirectoryPool::write_copy(const DiskCopy& copy, const fs::path& staging, const ProgressSink& progress,
                                 const std::stop_token& stop) const {
  auto source = open_file(copy.source, O_RDONLY);
  if (!source) return forward(source);
  if (auto offline = check_offline(source->get()); !offline) return offline;
  const auto space = space_of(staging.parent_path());
  if (!space) return forward(space);
  auto file = create_file(staging, {.size = copy.size, .wish = copy.disk.layout});
  if (!file) return forward(file);
  const bool raw = copy.format == model::ImageFormat::raw;
  const auto written =
      raw ? copy_raw(std::move(*source), file->get(), {.direct_io = abilities().direct_io, .limit = space->usable()},
                     progress, stop)
          : convert_image(*runner_, export_command(copy.source, copy.format, staging, copy.format, copy.size), staging,
                          space->usable(), progress, stop);
  if (!written) return written;
  if (progress) progress({.phase = "compare"});
  const auto compared = runner_->run(compare_command(copy.source, copy.format, staging, copy.format, copy.size), stop);
  if (!compared) return forward(compared);
  if (compared->exit_code != 0) return fail(ErrorCode::data_corrupt, "the copy differs from the disk");
  // What the copy is named by now may be another file than the one that was made.
  auto made = open_file(staging, O_RDWR);
  return made ? finish_disk(made->get()) : forward(made);
}

Result<StoredImage> DirectoryPool::copy_disk(const DiskCopy& copy, const ProgressSink& progress, std::stop_token stop) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (!is_uuid(copy.disk.id.str()) || !is_uuid(copy.operation.str())) {
    return fail(ErrorCode::invalid_argument, "a copy needs the ids of its operation and disk");
  }
  const ActiveOwners::Entry active(active_, copy.operation.str());
  const auto staging = layout_.staging(copy.operation.str(), "disk");
  ::unlink(staging.c_str());  // of an attempt before a crash
  auto written = remove(copy.disk);
  if (written) written = write_copy(copy, staging, progress, stop);
  // Who gave up waiting for it has looked away.
  if (written && stop.stop_requested()) written = fail(ErrorCode::cancelled, "the copy was cancelled");
  if (written) written = publish_disk(staging, layout_.disk_file(copy.disk.id, copy.format));
  if (!written) {
    ::unlink(staging.c_str());
    return forward(written);
  }
  return if_still_mounted(find_disk(layout_, copy.disk.id));
}

// The mark first, so that the file is never seen without; end_copy gives it the name that says "whole".
Result<StoredImage> DirectoryPool::begin_copy(const model::OperationId& operation, const model::Image& disk,
                                              model::ImageFormat format, Bytes size) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  if (auto removed = remove(disk); !removed) return forward(removed);
  const ActiveOwners::Entry active(active_, disk.id.str());
  const auto marked = write_file_atomic(layout_.incomplete_mark(disk.id), operation.str(), 0644,
                                        layout_.staging(disk.id.str(), "mark"));
  if (!marked) return forward(marked);
  const auto path = layout_.disk_file(disk.id, format);
  const auto file = create_file(path, {.size = size, .wish = disk.layout});
  if (!file) return forward(file);
  const auto written = format == model::ImageFormat::qcow2 ? write_overlay_disk(file->get(), "", size)
                                                           : write_blank_disk(file->get(), size);
  if (!written) return forward(written);
  if (auto synced = sync_directory(layout_.disks()); !synced) return forward(synced);
  return if_still_mounted(Result<StoredImage>(StoredImage{.path = path, .format = format, .virtual_size = size}));
}

Status DirectoryPool::rename_mark(const fs::path& from, const fs::path& to) const {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno(errno, fmt::format("rename {}", from.native()));
  return sync_directory(layout_.disks());
}

// The content first: a mark that outlives a power cut names a whole file.
Status DirectoryPool::end_copy(const model::Image& disk) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const auto ended = copied_by(disk);
  if (!ended) return forward(ended);
  if (*ended) return {};
  const auto path = layout_.disk_file(disk.id, model::ImageFormat::qcow2);
  auto file = open_file(path, O_RDONLY);
  if (!file && file.error().code == ErrorCode::not_found) {
    file = open_file(layout_.disk_file(disk.id, model::ImageFormat::raw), O_RDONLY);
  }
  if (!file) return forward(file);
  if (::fsync(file->get()) != 0) return fail_space(errno, "sync the copy");
  return rename_mark(layout_.incomplete_mark(disk.id), layout_.copied_mark(disk.id));
}

Status DirectoryPool::reopen_copy(const model::Image& disk) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  auto renamed = rename_mark(layout_.copied_mark(disk.id), layout_.incomplete_mark(disk.id));
  return !renamed && renamed.error().code == ErrorCode::not_found ? Status{} : renamed;
}

Result<std::optional<model::OperationId>> DirectoryPool::copied_by(const model::Image& disk) const {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const auto mark = if_still_mounted(read_file(layout_.copied_mark(disk.id), 4_KiB));
  if (mark) return std::optional(model::OperationId(*mark));
  if (mark.error().code == ErrorCode::not_found) return std::optional<model::OperationId>();
  return forward(mark);
}

Result<StoredImage> DirectoryPool::flatten_disk(const model::Image& disk, const ProgressSink& progress,
                                                std::stop_token stop) {
  if (auto attached = check_attached(); !attached) return forward(attached);
  const ActiveOwners::Entry active(active_, disk.id.str());
  auto stored = find_disk(layout_, disk.id);
  if (!stored || stored->format == model::ImageFormat::raw) return stored;
  {
    const auto file = open_file(stored->path, O_RDONLY);
    if (!file) return forward(file);
    const auto header = read_own_qcow2_header(file->get());
    if (!header) return forward(header);
    if (header->backing_file.empty()) return stored;
  }
  const auto space = space_of(layout_.disks());
  if (!space) return forward(space);
  const auto limit = stored->allocated + space->usable();
  auto flat = convert_image(*runner_, flatten_command(stored->path, stored->virtual_size), stored->path, limit,
                            progress, std::move(stop));
  if (!flat) return forward(flat);
  return if_still_mounted(find_disk(layout_, disk.id));
}

}  // namespace bridgehead::storage
