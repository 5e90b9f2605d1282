// PackageShelf: the agents' packages that this manager has. The one that came with it lies where the manager's own
// package has it, bridgehead-agent_VERSION_ARCHITECTURE.deb; copies of the last few that came are kept in a directory
// of the manager's, so that the one before is there for the way back. Read once, at the opening; then only read, by any
// thread. What can't be kept is logged, and is there all the same while it is where it came from.
#pragma once

#include <filesystem>
#include <map>
#include <optional>

#include "model/upgrade.h"

namespace bridgehead::upgrade_desk {

class PackageShelf {
 public:
  struct Package : model::AgentPackage {
    std::filesystem::path path;
  };

  // `carried`: where the packages lie that came with this manager; `kept`: where copies of them are.
  static PackageShelf open(const std::filesystem::path& carried, const std::filesystem::path& kept);

  // Of the newest that came with this manager; "" = none came.
  const std::string& carried_version() const { return carried_version_; }
  std::optional<Package> find(const std::string& version) const;

 private:
  void take(const std::filesystem::path& path);
  std::map<std::string, Package> packages_;  // by version
  std::string carried_version_;
};

}  // namespace bridgehead::upgrade_desk
