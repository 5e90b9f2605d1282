// Tree -> the files that a node boots: vmlinuz, initramfs.img, root.squashfs (compressed, the same bytes for the same
// tree), manifest.json and files.list. Thread-safe; takes half a minute and more, mostly in the compressor. Errors:
// not_found (no kernel in the tree), resource_exhausted (larger than the limit), those of the initramfs maker and of
// programs (mksquashfs).
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/progress.h"
#include "base/result.h"
#include "nodeimage/manifest.h"

namespace bridgehead::nodeimage {

// What the maker of an initramfs tells of it (netboot's builder, given by the caller: modules of one layer don't know
// each other).
struct InitramfsSummary {
  std::string kernel_version;
  std::filesystem::path kernel;       // in the tree, relative to it; empty = the one that belongs to the version
  std::vector<std::string> warnings;  // for people; kept in the manifest
  nlohmann::json report;              // kept in the manifest
};

// Writes `output` for the newest kernel of `tree`; trusts neither.
using InitramfsMaker =
    std::function<Result<InitramfsSummary>(const std::filesystem::path& tree, const std::filesystem::path& output)>;

struct PackOptions {
  Bytes root_limit;        // of root.squashfs; 0 = none
  bool keep_tree = false;  // moves the tree to <output>/root, for nfs
  std::string role;
  std::string source;
};

// Fills `output` (an empty directory on the tree's file system). The manifest lacks id, name, base and version.
Result<Manifest> pack(CommandRunner& runner, const std::filesystem::path& tree, const std::filesystem::path& output,
                      const PackOptions& options, const InitramfsMaker& initramfs, const ProgressSink& progress = {},
                      std::stop_token stop = {});

// The command for root.squashfs, as a value for tests.
Command squashfs_command(const std::filesystem::path& tree, const std::filesystem::path& output);

}  // namespace bridgehead::nodeimage
