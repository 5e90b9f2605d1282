// The files of VM disks: made in a staging place, found, grown. Free functions over paths, synced when they return.
#pragma once

#include <vector>

#include "base/command.h"
#include "storage/image_pool.h"
#include "storage/pool_layout.h"

namespace bridgehead::storage {

// Rounded up to 4 KiB, so that direct I/O reaches the last block.
Bytes whole_blocks(Bytes size);

// Into a new, empty file.
Status write_blank_disk(int file, Bytes size);
Status write_overlay_disk(int file, const std::string& backing_name, Bytes size);  // "" = blank
// One with all its content: its mode, and synced.
Status finish_disk(int file);
// A copy of a golden image that the file system made becomes a disk.
Status finish_copied_disk(const std::filesystem::path& path, Bytes size);
// False where the file system can't share blocks; then nothing is left.
Result<bool> write_reflink_disk(const std::filesystem::path& path, const std::filesystem::path& golden, Bytes size);

// The published disk with its format and virtual size; not_found if there is none.
Result<StoredImage> find_disk(const PoolLayout& layout, const model::ImageId& id);
// Larger only. failed_precondition when a running guest holds it.
Status grow_disk_file(CommandRunner& runner, const StoredImage& disk, Bytes size);
// failed_precondition while a QEMU process has the disk open for writing (it says so by a lock on the file).
Status check_offline(int fd);
// The overlays that need this golden image.
Result<std::vector<std::filesystem::path>> disks_backed_by(const PoolLayout& layout,
                                                           const std::filesystem::path& golden);

}  // namespace bridgehead::storage
