// LayoutControl on a mounted Lustre, by its own ioctls; neither `lfs` nor a library of it is needed.
#pragma once

#include <atomic>

#include "storage/layout.h"
#include "storage/lustre/stripe_policy.h"

namespace bridgehead::storage::lustre {

class LustreLayouts final : public LayoutControl {
 public:
  LustreLayouts(std::filesystem::path root, StripePolicy policy);

  Result<FileLayout> choose(const LayoutNeed& need) const override;
  Result<UniqueFd> create(const std::filesystem::path& file, const FileLayout& layout) const override;
  Result<FileLayout> read(const std::filesystem::path& file) const override;
  Result<std::vector<StorageTarget>> targets() const override;

 private:
  const std::filesystem::path root_;
  const StripePolicy policy_;
  mutable std::atomic<std::uint32_t> turn_;
};

}  // namespace bridgehead::storage::lustre
