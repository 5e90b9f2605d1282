// LayoutControl on CephFS, kernel or FUSE client, by its extended attributes "ceph.file.layout.*".
#pragma once

#include "storage/layout.h"

namespace bridgehead::storage::cephfs {

// "stripe_unit=4194304 stripe_count=1 object_size=4194304 pool=cephfs_data", as the attribute is read. data_corrupt for
// anything else.
Result<FileLayout> parse_layout(std::string_view text);

class CephLayouts final : public LayoutControl {
 public:
  explicit CephLayouts(std::string data_pool) : data_pool_(std::move(data_pool)) {}

  Result<FileLayout> choose(const LayoutNeed& need) const override;
  Result<UniqueFd> create(const std::filesystem::path& file, const FileLayout& layout) const override;
  Result<FileLayout> read(const std::filesystem::path& file) const override;
  Result<std::vector<StorageTarget>> targets() const override { return std::vector<StorageTarget>{}; }

 private:
  const std::string data_pool_;
};

}  // namespace bridgehead::storage::cephfs
