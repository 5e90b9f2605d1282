// Layouts: over which storage targets (OSTs, object storage daemons, chunk servers) a file is spread. LayoutControl is
// the seam to the file systems that let us choose; each driver's folder says how. Thread-safe; calls block.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "base/command.h"
#include "base/fd.h"
#include "model/layout.h"
#include "model/pool.h"
#include "storage/mount_table.h"

namespace bridgehead::storage {

using model::FileLayout;
using model::kAllTargets;
using model::kToTheEnd;
using model::LayoutPart;
using model::StorageTarget;
using model::TargetState;

// What the layout of a new image goes by.
struct LayoutNeed {
  model::ImageRole role = model::ImageRole::disk;
  Bytes size;  // 0 = unknown
  model::LayoutWish wish = model::LayoutWish::automatic;
};

// In which order a large file is best written: so many stretches of it side by side. One lane: from its begin to its
// end.
struct CopyOrder {
  Bytes stretch;
  unsigned lanes = 1;
};

class LayoutControl {
 public:
  virtual ~LayoutControl() = default;

  virtual CopyOrder copy_order() const { return {}; }

  // What a new image should get, on the targets that work now.
  virtual Result<FileLayout> choose(const LayoutNeed& need) const = 0;
  // A new, empty file with this layout, open for reading and writing; what was asked for was read back and is so.
  // Nothing is left on failure. already_exists; failed_precondition when the file system gave it another layout.
  virtual Result<UniqueFd> create(const std::filesystem::path& file, const FileLayout& layout) const = 0;
  virtual Result<FileLayout> read(const std::filesystem::path& file) const = 0;
  // Never hangs on a target that is down. None where the file system doesn't tell.
  virtual Result<std::vector<StorageTarget>> targets() const = 0;
};

// For what is mounted at `root`, whoever mounted it: null where files can't be laid out. `pool` gives the policy.
std::unique_ptr<LayoutControl> layout_control(const model::Pool& pool, const std::filesystem::path& root,
                                              const MountEntry& mount, std::shared_ptr<CommandRunner> runner);

}  // namespace bridgehead::storage
