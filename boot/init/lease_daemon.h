// Keeps the node's address, which a DHCP server has given, leased for as long as the node lives. Runs as
// "@bridgehead-dhcp" (daemon.h). It sends and listens on UDP port 68 of one interface, and changes nothing.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "lease_keeper.h"
#include "result.h"

namespace bridgehead::init {

inline constexpr auto lease_daemon_name = "@bridgehead-dhcp";

struct LeaseDuty {
  std::string interface;
  LeaseKeeper::Subject subject;
};

// As the daemon's arguments, and back. Pure.
std::vector<std::string> to_arguments(const LeaseDuty& duty);
std::optional<LeaseDuty> lease_duty(const std::vector<std::string>& arguments);

Result<pid_t> start_lease_daemon(const LeaseDuty& duty);
// The daemon itself; returns only where it can't work.
int run_lease_daemon(const std::vector<std::string>& arguments);

}  // namespace bridgehead::init
