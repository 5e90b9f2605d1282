// What apt of this machine knows: where Debian's packages come from, and which versions it would install. Internal to
// this module. Thread-safe; never touches the machine's own apt state.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/result.h"
#include "nodeimage/recipe.h"

namespace bridgehead::nodeimage {

struct AptSetup {
  std::vector<std::string> sources;  // sources.list lines with signed-by
  std::vector<std::string> options;  // proxies: "Acquire::http::Proxy \"...\";"
};

// The machine's mirrors of the suite, its updates and its security fixes, or Debian's own where the machine has none;
// then the recipe's sources with their keys where they lie on this machine.
Result<AptSetup> apt_setup(CommandRunner& runner, const Recipe& recipe, std::stop_token stop = {});
// sources.list for the image: Debian's own mirrors, nothing of the machine that builds.
std::string plain_sources(const std::string& suite);

// All packages by name, from `variant` up, "name version", sorted: what apt-get would install into an empty root now.
// `state` keeps the package lists for the next time. Without network, what was known last is taken. Where it fails,
// what apt has said is in `failure_log`.
Result<std::vector<std::string>> planned_packages(CommandRunner& runner, const Recipe& recipe, const AptSetup& setup,
                                                  const std::vector<std::filesystem::path>& debs,
                                                  const std::filesystem::path& state,
                                                  const std::filesystem::path& failure_log, std::stop_token stop = {});
// For tests: "Inst name (version Debian:12 [amd64])" lines to "name version".
std::vector<std::string> parse_simulation(std::string_view text);

// A directory with the .deb files and a Packages file, for a line "deb [trusted=yes] copy:<directory> ./". Where the
// recipe has a kernel but no initramfs of the distribution, a package that takes its place is put in: ours is made by
// netboot, and Debian's takes half a minute to build.
struct LocalRepository {
  std::string source_line;
  std::vector<std::string> packages;  // their names
};
Result<LocalRepository> make_repository(CommandRunner& runner, const Recipe& recipe,
                                        const std::vector<std::filesystem::path>& debs,
                                        const std::filesystem::path& directory, std::stop_token stop = {});

}  // namespace bridgehead::nodeimage
