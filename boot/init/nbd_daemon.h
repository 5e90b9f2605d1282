// The part of the NBD client that lives as long as the node: when a connection dies, it opens another, to the next
// server, and gives it to the kernel. Runs as "@bridgehead-nbd" (daemon.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "address.h"
#include "result.h"

namespace bridgehead::init {

inline constexpr auto nbd_daemon_name = "@bridgehead-nbd";

struct NbdDuty {
  std::uint32_t index = 0;  // of /dev/nbd<index>
  std::uint64_t size = 0;   // bytes; a server whose export has another size isn't used
  std::string export_name;
  std::vector<Endpoint> servers;
  std::size_t current = 0;  // the server in use
};

// As the daemon's arguments, and back. Pure.
std::vector<std::string> to_arguments(const NbdDuty& duty);
std::optional<NbdDuty> nbd_duty(const std::vector<std::string>& arguments);

// Returns when the daemon listens: no dead link is missed from then on.
Result<pid_t> start_nbd_daemon(const NbdDuty& duty);
// The daemon itself; returns only where it can't work.
int run_nbd_daemon(const std::vector<std::string>& arguments);

}  // namespace bridgehead::init
