// An import from its source to a published golden image; the steps are in ImagePool::import_golden's comment.
// One call, its own threads; any number at once, but not two of one operation. On failure nothing is left behind. After
// a crash the next attempt of the same operation goes on with what is in tmp/, or removes it; collect_garbage removes
// what no operation comes back for.
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
  Bytes part = {};  // of which an import goes on after a crash; 0 = as large as is good
};

Result<StoredImage> import_image(const ImportEnvironment& environment, const ImportRequest& request,
                                 const ProgressSink& progress, std::stop_token stop);

// Of an import that another node leads; see ImagePool::help_import.
Status help_import(const ImportEnvironment& environment, const HelpRequest& request, const ProgressSink& progress,
                   std::stop_token stop);

}  // namespace bridgehead::storage
