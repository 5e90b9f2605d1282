// AgentUpgrade: has another version of this agent's own Debian package installed, as the manager orders. It takes the
// packages into the state directory, proves that they are what the order says, and has them installed by a process that
// systemd starts in a unit of its own (upgrade_install.h): that one outlives this agent, and goes back to the package
// before when the new agent doesn't come to the manager. Nothing of the machine is changed before all is proven.
//
// Only what came through a tunnel from this node's manager is taken. Guests aren't touched. Thread-safe; orders come
// one after the other.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include "base/command.h"
#include "host_agent/upgrade/upgrade_record.h"

namespace bridgehead::host_agent {

inline constexpr char kUpgradeUnit[] = "bridgehead-agent-upgrade.service";
inline constexpr char kInstalledAgent[] = "/usr/bin/bridgehead-agent";  // where the package has it

class AgentUpgrade {
 public:
  struct Options {
    std::filesystem::path state_dir;
    std::filesystem::path config = "/etc/bridgehead/agent.toml";  // for the installer
    std::filesystem::path program;                                // what this process runs
    std::filesystem::path root = "/";
    std::string version;  // of this process
  };
  // The next bytes of the order; "" = there are no more. Errors end it: the manager sends it again.
  using More = std::function<Result<std::string>()>;

  // `runner` must outlive it.
  AgentUpgrade(Options options, CommandRunner& runner);

  // What is refused is an answer, too: failed, with the reason and what to do.
  Result<model::UpgradeAnswer> serve(const More& more);
  // This process is connected to the manager and can run guests. Cheap when it was said before.
  void is_well();

 private:
  Result<model::UpgradeAnswer> take(const model::UpgradeOrder& order, std::string rest, const More& more);
  Result<model::UpgradeAnswer> state_of(const model::OperationId& operation);
  Status check_installed() const;
  Status check_free() const;
  Status check_order(const model::UpgradeOrder& order) const;
  Status check_package(const std::filesystem::path& path, const std::string& version) const;
  Status check_room(std::uint64_t bytes, const std::filesystem::path& where, std::string_view what) const;
  Result<std::string> field_of(const std::filesystem::path& path, const char* field) const;
  bool installer_runs() const;
  Status begin(const model::UpgradeOrder& order);

  const Options options_;
  const UpgradeFiles files_;
  CommandRunner& runner_;
  std::timed_mutex serving_;
  std::atomic<bool> said_well_ = false;
};

}  // namespace bridgehead::host_agent
