// LayoutControl on MooseFS: a file's storage class says how many copies it has and on which chunk servers. The class of
// new images is the pool's option; without it they inherit their directory's.
#pragma once

#include <optional>

#include "storage/layout.h"
#include "storage/moosefs/moosefs_sessions.h"

namespace bridgehead::storage::moosefs {

class MooseFsLayouts final : public LayoutControl {
 public:
  // `master`: none where it isn't known (somebody else mounted it).
  MooseFsLayouts(std::string storage_class, std::optional<Master> master, std::shared_ptr<CommandRunner> runner)
      : class_(std::move(storage_class)), master_(std::move(master)), runner_(std::move(runner)) {}

  // Asks the master, where it can: a fraction of a second.
  CopyOrder copy_order() const override;
  Result<FileLayout> choose(const LayoutNeed&) const override { return FileLayout{.group = class_}; }
  Result<UniqueFd> create(const std::filesystem::path& file, const FileLayout& layout) const override;
  Result<FileLayout> read(const std::filesystem::path& file) const override;
  Result<std::vector<StorageTarget>> targets() const override { return std::vector<StorageTarget>{}; }

 private:
  const std::string class_;
  const std::optional<Master> master_;
  const std::shared_ptr<CommandRunner> runner_;
};

}  // namespace bridgehead::storage::moosefs
