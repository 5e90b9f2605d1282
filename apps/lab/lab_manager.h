// The lab's own bridgehead-manager: started in the namespace with its own state directory, and spoken to by `bh`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/result.h"
#include "lab/lab_state.h"
#include "lab/machine_power.h"
#include "model/netboot.h"

namespace bridgehead::lab {

inline constexpr std::uint16_t kApiPort = 7443;
inline constexpr std::uint16_t kAgentPort = 7444;

// What `bh` needs to reach this manager: BH_SERVER, BH_CA, BH_TOKEN. Errors: failed_precondition (no manager).
Result<std::map<std::string, std::string>> bh_environment(const Places& places, const LabState& state);

// What the manager can't know in a lab; empty = as installed.
struct ManagerFiles {
  std::string agent_package;  // the agent's .deb, for node images
  std::string recipes;        // directory
};
// manager.toml; written once, when the lab is made.
Status write_manager_configuration(const Places& places, const LabState& state, const ManagerFiles& files);

// `bh` with these arguments, from inside the lab.
Result<CommandOutput> run_bh(CommandRunner& runner, const Places& places, const LabState& state,
                             const std::vector<std::string>& arguments);

// Returns when it serves. Runs already: success. Errors carry the last lines of its log.
Status start_manager(const Places& places, LabState& state, const SaveState& save);
// In order; killed after 15 s, or at once.
enum class Stop { in_order, kill };
Status stop_manager(LabState& state, Stop how, const SaveState& save);

// What `up` asks of netboot.
struct NetbootWish {
  std::optional<model::BootMethod> method;  // empty = the manager's default
  std::optional<model::RootTransport> root;
  // What machines boot: a root tree, a tar or an OCI layout (absolute path; imported), or a recipe's name (built).
  // "" = none: machines are discovered and wait for an image.
  std::string image;
};
// The `bh` commands for it, in order; the one place that knows them. Machines are approved by themselves and take the
// newest image.
std::vector<std::vector<std::string>> netboot_commands(const AddressPlan& addresses, const NetbootWish& wish);
// The lab's hosts are ready; they share each storage as a pool named as its kind (if `pools`), and a network `lan` for
// guests on their bridges. `state` is told of the pools.
Status add_pools_and_network(CommandRunner& runner, const Places& places, LabState& state, bool pools);
std::vector<std::string> pool_command(const Storage& storage);
Status enable_netboot(CommandRunner& runner, const Places& places, const LabState& state, const NetbootWish& wish);

}  // namespace bridgehead::lab
