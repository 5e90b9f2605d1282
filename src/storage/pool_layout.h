// Where things are in a pool's directory (see image_pool.h). Pure functions of paths; thread-safe; nothing is opened.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "model/image.h"

namespace bridgehead::storage {

class PoolLayout {
 public:
  explicit PoolLayout(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path marker() const { return root_ / "bridgehead-pool.json"; }
  std::filesystem::path golden() const { return root_ / "golden"; }
  std::filesystem::path disks() const { return root_ / "disks"; }
  std::filesystem::path leases() const { return root_ / "leases"; }
  std::filesystem::path tmp() const { return root_ / "tmp"; }

  std::filesystem::path golden_file(const model::ImageId& id) const { return golden() / (id.str() + ".raw"); }
  std::filesystem::path disk_file(const model::ImageId& id, model::ImageFormat format) const;
  std::filesystem::path lease_file(const model::VmId& vm) const { return leases() / (vm.str() + ".json"); }
  // What is being made for an operation or (disks) an image: tmp/<owner>.<what>
  std::filesystem::path staging(std::string_view owner, std::string_view what) const;
  // The owner's id in a name that staging() gave; nothing if it isn't one.
  static std::optional<std::string> staging_owner(const std::filesystem::path& file);

 private:
  std::filesystem::path root_;
};

}  // namespace bridgehead::storage
