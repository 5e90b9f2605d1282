// Which layout a new image on Lustre gets. Pure.
#pragma once

#include "storage/layout.h"

namespace bridgehead::storage::lustre {

struct StripePolicy {
  std::string ost_pool;
  Bytes stripe_size;                 // 0 = by role
  std::uint32_t disk_stripes = 0;    // 0 = by size
  std::uint32_t golden_stripes = 0;  // 0 = all

  // From the pool's options, which were checked before.
  static StripePolicy of(const model::Pool& pool);
};

// Golden images wide, because all read them; disks on one OST for each 256 GiB, because many small files beside each
// other load all OSTs anyway, and each OST less is one less that can stop the guest. A number by size is a wish: how
// many OSTs a pool has only Lustre knows. While all OSTs work Lustre's own allocator chooses, which knows their load;
// while some don't, `turn` (another for each image) picks among those that do and have at least half as much room as
// the emptiest: disks take their space only later, so that the emptiest would get every one of them.
// resource_exhausted when none works.
Result<FileLayout> choose_layout(const StripePolicy& policy, const LayoutNeed& need,
                                 const std::vector<StorageTarget>& targets, std::uint32_t turn);

}  // namespace bridgehead::storage::lustre
