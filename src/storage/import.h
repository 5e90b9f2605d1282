// An import from its source to a published golden image; the steps are in ImagePool::import_golden's comment.
// One call, its own threads; any number at once, but not two of one operation. On failure nothing is left behind; after
// a crash the staged files in tmp/ are removed by collect_garbage, or by the next attempt of the same operation.
#pragma once

#include "base/command.h"
#include "base/fd.h"
#include "storage/image_pool.h"
#include "storage/layout.h"
#include "storage/pool_layout.h"

namespace bridgehead::storage {

struct ImportEnvironment {
  const PoolLayout& layout;
  CommandRunner& runner;  // for qemu-img: vmdk, vdi, vhdx
  model::PoolAbilities abilities;
  std::function<Result<UniqueFd>(const std::filesystem::path& file, Bytes size)> create;  // laid out for a golden image
  CopyOrder order = {};
};

Result<StoredImage> import_image(const ImportEnvironment& environment, const ImportRequest& request,
                                 const ProgressSink& progress, std::stop_token stop);

}  // namespace bridgehead::storage
