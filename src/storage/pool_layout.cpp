#include "storage/pool_layout.h"

#include <fmt/format.h>

namespace bridgehead::storage {

std::filesystem::path PoolLayout::disk_file(const model::ImageId& id, model::ImageFormat format) const {
  return disks() / (id.str() + (format == model::ImageFormat::qcow2 ? ".qcow2" : ".raw"));
}

std::filesystem::path PoolLayout::staging(std::string_view owner, std::string_view what) const {
  return tmp() / fmt::format("{}.{}", owner, what);
}

std::optional<std::string> PoolLayout::staging_owner(const std::filesystem::path& file) {
  const std::string name = file.filename().native();
  const std::string owner = name.substr(0, name.find('.'));
  if (owner.size() == name.size() || !is_uuid(owner)) return std::nullopt;
  return owner;
}

}  // namespace bridgehead::storage
