// The installer: what systemd runs in a unit of its own (bridgehead-agent install-upgrade), so that it outlives the
// restart of the agent. It has dpkg install the new package and waits until the new agent says that it is well; else it
// has the one before installed. How it ended is in the record, which the agent that runs then reports. Blocks; not
// thread-safe. Killed, it leaves a record that says "installing", of which the agent makes what is so.
#pragma once

#include <chrono>

#include "base/command.h"
#include "host_agent/upgrade/upgrade_record.h"

namespace bridgehead::host_agent {

struct UpgradeTimings {
  std::chrono::milliseconds dpkg{std::chrono::minutes(5)};       // one installation
  std::chrono::milliseconds dpkg_lock{std::chrono::minutes(1)};  // while somebody else holds dpkg's
  std::chrono::milliseconds well{std::chrono::minutes(2)};       // from then until the agent is well
  std::chrono::milliseconds look_every{200};
};

// failed_precondition: nothing was ordered. An upgrade that went back is no error of this.
Status install_upgrade(const UpgradeFiles& files, CommandRunner& runner, const UpgradeTimings& timings = {});

}  // namespace bridgehead::host_agent
