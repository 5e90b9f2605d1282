// Where things are in a pool's directory (see image_pool.h). Pure functions of paths; thread-safe; nothing is opened.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "model/image.h"

namespace bridgehead::storage {

class PoolLayout {
 public:
  // `node`: of a shared pool; each node makes its files in a place of its own, and collects garbage only there.
  explicit PoolLayout(std::filesystem::path root, std::string node = {})
      : root_(std::move(root)), node_(std::move(node)) {}

  const std::filesystem::path& root() const { return root_; }
  const std::string& node() const { return node_; }
  std::filesystem::path marker() const { return root_ / "bridgehead-pool.json"; }
  std::filesystem::path golden() const { return root_ / "golden"; }
  std::filesystem::path disks() const { return root_ / "disks"; }
  std::filesystem::path leases() const { return root_ / "leases"; }
  std::filesystem::path nodes() const { return root_ / "nodes"; }
  std::filesystem::path tmp() const { return node_.empty() ? root_ / "tmp" : root_ / "tmp" / node_; }

  std::filesystem::path golden_file(const model::ImageId& id) const { return golden() / (id.str() + ".raw"); }
  std::filesystem::path disk_file(const model::ImageId& id, model::ImageFormat format) const;
  std::filesystem::path incomplete_mark(const model::ImageId& id) const { return disks() / (id.str() + ".incomplete"); }
  std::filesystem::path copied_mark(const model::ImageId& id) const { return disks() / (id.str() + ".copied"); }
  std::filesystem::path lease_file(const model::VmId& vm) const { return leases() / (vm.str() + ".json"); }
  std::filesystem::path beat_file(const model::NodeId& node) const { return nodes() / (node.str() + ".beat"); }
  std::filesystem::path claim_file(const model::NodeId& node) const { return nodes() / (node.str() + ".claim"); }
  // How an overlay in disks/ names its golden image: relative, because a pool's directory may differ between nodes.
  static std::string backing_name(const std::filesystem::path& golden) {
    return "../golden/" + golden.filename().native();
  }
  // What is being made for an operation or (disks) an image: tmp/<owner>.<what>
  std::filesystem::path staging(std::string_view owner, std::string_view what) const;
  // The owner's id in a name that staging() gave; nothing if it isn't one.
  static std::optional<std::string> staging_owner(const std::filesystem::path& file);

 private:
  std::filesystem::path root_;
  std::string node_;
};

}  // namespace bridgehead::storage
