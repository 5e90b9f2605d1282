// Trees of recipes that were built before, with their packed roots: <cache>/<key>/{tree/,root.squashfs,files.list,
// manifest.json,initramfs-*}. Entries are never changed, only added to or replaced whole; the least recently used go.
// For root only. Internal to this module. Safe for several processes at once: a lock per key, so that the second of two
// equal builds waits and finds.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "nodeimage/manifest.h"
#include "nodeimage/pack.h"

namespace bridgehead::nodeimage {

struct CachedTree {
  std::filesystem::path directory;
  std::filesystem::path tree() const { return directory / "tree"; }
  Manifest manifest;
};

// A maker that keeps what `maker` makes beside the cached tree, by `key`, and takes it from there the next time.
InitramfsMaker cached_maker(const CachedTree& cached, InitramfsMaker maker, const std::string& key);

// Hard link where that is possible, otherwise a copy.
Status link_or_copy(const std::filesystem::path& from, const std::filesystem::path& to);

class TreeCache {
 public:
  static constexpr std::size_t kEntries = 4;

  explicit TreeCache(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // Until the descriptor is closed, nobody else builds this key and nobody removes it.
  Result<UniqueFd> lock(const std::string& key, const std::stop_token& stop) const;
  // Checks the packed root's hash; a damaged entry counts as none.
  std::optional<CachedTree> find(const std::string& key, const std::stop_token& stop) const;
  // Takes over `built`, a directory with the entry's files on the cache's file system.
  Result<CachedTree> put(const std::string& key, const std::filesystem::path& built);
  Status remove(const std::string& key) const;

 private:
  void remove_oldest() const;

  std::filesystem::path directory_;
};

}  // namespace bridgehead::nodeimage
