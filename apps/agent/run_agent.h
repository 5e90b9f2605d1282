// The composition root: puts the real parts behind the agent's seams and runs it until SIGTERM or SIGINT.
#pragma once

#include "base/result.h"
#include "config.h"

namespace bridgehead::agent_app {

// Blocks. `file`: what `config` was read from. Errors: failed_precondition (not joined; another agent has the state
// directory), the state directory's.
Status run_agent(const Config& config, const std::filesystem::path& file);

// Trades the token for a membership, once; says so on standard output. "-" reads the token from standard input, where
// other users can't see it.
Status join(const Config& config, std::string token);

inline constexpr char kBootFile[] = "/run/bridgehead/boot";
// As join, with the token that our initramfs left in `file` (docs/boot-protocol.md). failed_precondition: there is
// none.
Status join_boot(const Config& config, const std::filesystem::path& file);

// Blocks: installs the package that the agent was given for its upgrade (host_agent/upgrade/upgrade_install.h).
Status install_upgrade(const Config& config);

}  // namespace bridgehead::agent_app
