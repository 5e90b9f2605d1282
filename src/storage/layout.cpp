#include "storage/layout.h"

#include <sys/statfs.h>

#include "storage/cephfs/ceph_layouts.h"
#include "storage/lustre/lustre_layouts.h"
#include "storage/moosefs/moosefs_layouts.h"
#include "storage/mount_plan.h"

namespace bridgehead::storage {
namespace {

constexpr std::uint64_t kLustreMagic = 0x0bd00bd0;

}  // namespace

std::unique_ptr<LayoutControl> layout_control(const model::Pool& pool, const std::filesystem::path& root,
                                              const MountEntry& mount, std::shared_ptr<CommandRunner> runner) {
  struct statfs status {};
  if (::statfs(root.c_str(), &status) == 0 && static_cast<std::uint64_t>(status.f_type) == kLustreMagic) {
    return std::make_unique<lustre::LustreLayouts>(root, lustre::StripePolicy::of(pool));
  }
  if (mount.file_system() == "cephfs") {
    return std::make_unique<cephfs::CephLayouts>(option_or(pool, "data_pool", ""));
  }
  if (mount.file_system() == "moosefs") {
    return std::make_unique<moosefs::MooseFsLayouts>(
        option_or(pool, "storage_class", ""),
        pool.driver == model::PoolDriver::moosefs ? std::optional(moosefs::master_of(pool)) : std::nullopt,
        std::move(runner));
  }
  return nullptr;
}

}  // namespace bridgehead::storage
