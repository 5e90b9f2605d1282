// Space on a file system, and facts about one image file. Free functions; thread-safe.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "base/units.h"
#include "storage/image_pool.h"

namespace bridgehead::storage {

struct Space {
  Bytes total;
  Bytes available;
  // What an import may fill: running guests that write into their disks need some of it left.
  Bytes usable() const;
};
Result<Space> space_of(const std::filesystem::path& directory);

// Path, sizes, and the digest that publish_golden left on the file. not_found if there is none.
Result<StoredImage> stored_file(const std::filesystem::path& path, model::ImageFormat format);

// Fails where extended attributes aren't supported; then the digest isn't kept.
Status remember_digest(int fd, const std::string& sha256);
void forget_digest(int fd);

// A new file that shares all blocks of an open one (FICLONE). False where the file system can't; then nothing is left.
Result<bool> clone_file(int source, const std::filesystem::path& target);

// "Free space in the pool, then try again." on ENOSPC.
tl::unexpected<Error> fail_space(int error_number, std::string_view what);

}  // namespace bridgehead::storage
