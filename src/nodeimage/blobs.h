// Files by their content: blobs/<2 hex>/<key>, hard-linked into images. Internal to the store; its lock protects it.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "nodeimage/manifest.h"

namespace bridgehead::nodeimage {

class Blobs {
 public:
  explicit Blobs(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // Makes `file` (of that SHA-256) read-only and one with the blob of the same content.
  Status share_file(const std::filesystem::path& file, const std::string& sha256) const;
  // The same for every regular file of a kept root/: files that are equal in content, owner, mode, time and attributes
  // are stored once.
  Status share_tree(const std::filesystem::path& root, const std::vector<TreeEntry>& entries) const;

  // Removes what neither `referenced` (SHA-256 of images' files) names nor a tree links to.
  Status collect(const std::set<std::string>& referenced, std::uint64_t& files, Bytes& freed) const;

 private:
  Status share(int parent, const std::string& name, const std::string& key) const;

  std::filesystem::path directory_;
};

}  // namespace bridgehead::nodeimage
