// Makes a root tree of a recipe: mmdebstrap in namespaces of its own, then the recipe's files, units, and hooks, then
// what must not be in an image is taken out. Internal to this module. Needs root.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/progress.h"
#include "base/result.h"
#include "nodeimage/apt.h"
#include "nodeimage/recipe.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {

// In the order in which they come; percent of the phase goes with them.
inline constexpr std::string_view kPhasePrepare = "prepare";
inline constexpr std::string_view kPhaseUpdate = "update";
inline constexpr std::string_view kPhaseDownload = "download";
inline constexpr std::string_view kPhaseExtract = "extract";
inline constexpr std::string_view kPhaseConfigure = "configure";
inline constexpr std::string_view kPhaseCustomize = "customize";

struct DebianTree {
  std::filesystem::path work;  // an empty directory on a file system with room; the tree is <work>/tree afterwards
  std::filesystem::path failure_log;  // mmdebstrap's output, where it fails
  std::filesystem::path tree() const { return work / "tree"; }
  std::filesystem::path log() const { return work / "mmdebstrap.log"; }
};

Command mmdebstrap_command(const Recipe& recipe, const AptSetup& setup, const LocalRepository& repository,
                           const DebianTree& place);

Status make_debian_tree(CommandRunner& runner, const Recipe& recipe, const AptSetup& setup,
                        const std::vector<std::filesystem::path>& debs, const DebianTree& place,
                        const ProgressSink& progress, std::stop_token stop);

// What also an imported tree needs: no identity of the machine that made it, nothing that a root over the network can't
// have. Adds to `notes` what a person should know.
Status make_anonymous(const Tree& tree, std::vector<std::string>& notes);
// The unit that joins the cluster by the boot's token, where the agent is in the tree.
Status add_join_unit(const Tree& tree);

// A command inside the tree: own namespaces, no network, its own /proc; everything it starts ends with it.
Command inside_command(const std::filesystem::path& tree, std::vector<std::string> words);

// All paths that match a pattern of `exclude` and none of `keep`.
Status remove_excluded(const Tree& tree, const Recipe& recipe, std::stop_token stop);

}  // namespace bridgehead::nodeimage
