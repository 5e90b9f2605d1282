// Layouts: over which storage targets (OSTs, object storage daemons, chunk servers) a file is spread. LayoutControl is
// the seam to the file systems that let us choose; each driver's folder says how. Thread-safe; calls block.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/fd.h"
#include "model/image.h"
#include "model/pool.h"
#include "storage/mount_table.h"

namespace bridgehead::storage {

inline constexpr std::uint64_t kToTheEnd = ~std::uint64_t{0};
inline constexpr std::uint32_t kAllTargets = ~std::uint32_t{0};

// One stretch of a file. Plain layouts have one; progressive ones (Lustre's PFL) several, in order, without gaps.
struct LayoutPart {
  std::uint64_t end = kToTheEnd;       // first byte after it
  std::uint32_t stripes = 0;           // targets side by side; 0 = as the file system likes, kAllTargets = all
  Bytes stripe_size;                   // 0 = as the file system likes
  std::vector<std::uint32_t> targets;  // their indices, where they were chosen or are known
  bool fewer_do = false;               // asked for: `stripes` is a wish, and less of them is fine

  bool operator==(const LayoutPart&) const = default;
};

struct FileLayout {
  std::string group;              // OST pool, Ceph data pool, MooseFS storage class; "" = as the file system likes
  std::vector<LayoutPart> parts;  // none = as the file system likes

  bool plain() const { return group.empty() && parts.empty(); }
  // "4 stripes of 1 MiB on OSTs 0, 1, 2, 3" and the like, for people.
  std::string describe() const;
  bool operator==(const FileLayout&) const = default;
};

enum class TargetState { up, down, inactive };
struct StorageTarget {
  std::uint32_t index = 0;
  std::string name;  // "OST0002"
  TargetState state = TargetState::up;
  Bytes total;
  Bytes available;

  bool operator==(const StorageTarget&) const = default;
};

class LayoutControl {
 public:
  virtual ~LayoutControl() = default;

  // What a new image should get, by its role and (0 = unknown) size, on the targets that work now.
  virtual Result<FileLayout> choose(model::ImageRole role, Bytes size) const = 0;
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
