// Makes node images: from a recipe (mmdebstrap and Debian's packages) or from what others made (a tree, a tar, an OCI
// image layout). All work happens in fresh directories below `work`, which are gone when the result is dropped; what a
// crash left is removed by sweep(). Needs root. One ImageBuilder may be used by several threads at once.
// Errors: invalid_argument, not_found (recipe's files, sources), failed_precondition (a program is missing, not root;
// the tree lacks what a node needs: the message says what), data_corrupt (hostile or damaged archives),
// resource_exhausted (limits, disk), cancelled, and those of programs. Where packages are the trouble, the hint names a
// file with all that apt has said.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/command.h"
#include "base/fd.h"
#include "base/progress.h"
#include "base/result.h"
#include "nodeimage/manifest.h"
#include "nodeimage/pack.h"
#include "nodeimage/recipe.h"

namespace bridgehead::nodeimage {

// A finished image that has no name yet: a directory that ImageStore::publish() takes over. Removed when dropped.
class StagedImage {
 public:
  // `lock`: keeps sweep() away, may be none.
  StagedImage(std::filesystem::path directory, Manifest manifest, UniqueFd lock = {});
  StagedImage(StagedImage&& other) noexcept;
  StagedImage& operator=(StagedImage&& other) noexcept;
  ~StagedImage();

  const std::filesystem::path& directory() const { return directory_; }
  const Manifest& manifest() const { return manifest_; }
  void release() { directory_.clear(); }  // its files are somebody else's now

 private:
  std::filesystem::path directory_;
  Manifest manifest_;
  UniqueFd lock_;
};

struct BuilderPaths {
  std::filesystem::path work;   // on the store's file system: <store>/tmp; a few GiB free
  std::filesystem::path cache;  // of built trees; "" = none. default_cache() for programs
  // Of a recipe: what apt has said when its last build failed.
  std::filesystem::path failure_log(const std::string& recipe) const;
};

// $XDG_CACHE_HOME/bridgehead/node-images, or below $HOME/.cache; empty where neither is set.
std::filesystem::path default_cache();

struct MakeOptions {
  std::vector<std::filesystem::path> debs;  // beside the recipe's: the agent's package
  bool keep_tree = false;                   // for nfs
  bool refresh = false;                     // don't use a cached tree
  InitramfsMaker initramfs;
  // Names all that the maker's result depends on besides the tree (its settings, the programs it puts in): then a
  // cached one is taken. "" = made anew each time (about ten seconds of compression).
  std::string initramfs_key;
};

struct ImportOptions {
  std::string role = "compute";
  bool keep_tree = false;
  Bytes root_limit;             // of root.squashfs; 0 = none
  Bytes tree_limit = 8_GiB;     // an archive that unpacks to more is refused
  std::string expected_sha256;  // of a tar; "" = not checked
  std::string oci_reference;  // org.opencontainers.image.ref.name, where a layout has several images; "" = the only one
  InitramfsMaker initramfs;
};

class ImageBuilder {
 public:
  ImageBuilder(CommandRunner& runner, BuilderPaths paths);

  // Removes what earlier processes left below work; at start, before the first build. Directories of processes that are
  // still at it (they hold a lock) stay.
  Status sweep();

  // Phases of the progress: "prepare", "update", "download", "extract", "configure", "customize", "cache", "list",
  // "initramfs", "compress"; done of total is percent.
  Result<StagedImage> build(const Recipe& recipe, const MakeOptions& options, const ProgressSink& progress = {},
                            std::stop_token stop = {});

  // `source`: a directory with a root tree, a directory with an OCI image layout, or a tar (plain, gzip, xz, zstd) of
  // either.
  Result<StagedImage> import(const std::filesystem::path& source, const ImportOptions& options,
                             const ProgressSink& progress = {}, std::stop_token stop = {});

  // What decides whether a cached tree can be taken: the recipe, the files it names, the debs, and the versions that
  // apt would install now.
  Result<std::string> cache_key(const Recipe& recipe, const std::vector<std::filesystem::path>& debs,
                                std::stop_token stop = {});

 private:
  CommandRunner* runner_;
  BuilderPaths paths_;
};

}  // namespace bridgehead::nodeimage
