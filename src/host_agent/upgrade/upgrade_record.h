// What an upgrade of this agent leaves in the agent's state directory, for the agent, for the installer that outlives
// it and for the agent of the other version: the packages, how far it is, and the new agent's word that it is well.
// Free functions over files; fails as files do, and with data_corrupt.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "model/upgrade.h"

namespace bridgehead::host_agent {

struct UpgradeRecord {
  model::OperationId operation;
  std::string version;  // of the package to install
  std::string before;   // of the one to go back to; "" = there is none
  model::UpgradeState state = model::UpgradeState::none;
  std::string message;  // why it failed

  bool operator==(const UpgradeRecord&) const = default;
};

class UpgradeFiles {
 public:
  explicit UpgradeFiles(const std::filesystem::path& state_dir) : directory_(state_dir / "upgrade") {}

  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path package() const { return directory_ / "new.deb"; }
  std::filesystem::path before() const { return directory_ / "before.deb"; }

  // Nothing: no upgrade was ever asked for here.
  Result<std::optional<UpgradeRecord>> record() const;
  Status write(const UpgradeRecord& record) const;
  void remove_packages() const;

  // The agent's word: of this version, heard by the manager, and able to run guests.
  Status say_well(const std::string& version) const;
  std::string well() const;  // the version that said so since `forget_well`; "" = none
  Status forget_well() const;

 private:
  std::filesystem::path directory_;
};

}  // namespace bridgehead::host_agent
