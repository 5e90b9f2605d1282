// LayoutControl on MooseFS: a file's storage class says how many copies it has and on which chunk servers. The class of
// new images is the pool's option; without it they inherit their directory's.
#pragma once

#include "storage/layout.h"

namespace bridgehead::storage::moosefs {

class MooseFsLayouts final : public LayoutControl {
 public:
  MooseFsLayouts(std::string storage_class, std::shared_ptr<CommandRunner> runner)
      : class_(std::move(storage_class)), runner_(std::move(runner)) {}

  // Each chunk of 64 MiB is on other servers: written one after the other only one's link would be used.
  CopyOrder copy_order() const override { return {.stretch = 64_MiB, .lanes = 8}; }
  Result<FileLayout> choose(const LayoutNeed&) const override { return FileLayout{.group = class_}; }
  Result<UniqueFd> create(const std::filesystem::path& file, const FileLayout& layout) const override;
  Result<FileLayout> read(const std::filesystem::path& file) const override;
  Result<std::vector<StorageTarget>> targets() const override { return std::vector<StorageTarget>{}; }

 private:
  const std::string class_;
  const std::shared_ptr<CommandRunner> runner_;
};

}  // namespace bridgehead::storage::moosefs
