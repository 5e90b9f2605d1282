// Reads ahead what boots of this root read, or, where the manager has no list of that yet, writes it down once the node
// is ready. Beside the boot, which never waits for it; ends when it is done. Runs as "@bridgehead-prefetch" (daemon.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http_message.h"
#include "result.h"

namespace bridgehead::init {

inline constexpr auto prefetch_daemon_name = "@bridgehead-prefetch";

struct PrefetchDuty {
  std::string device;  // "/dev/nbd0", through whose page cache the root is read
  Url list;            // the manager's list, to be had and to be told
};

// As the daemon's arguments, and back. Pure.
std::vector<std::string> to_arguments(const PrefetchDuty& duty);
std::optional<PrefetchDuty> prefetch_duty(const std::vector<std::string>& arguments);

// Returns when the daemon has the device open.
Result<pid_t> start_prefetch_daemon(const PrefetchDuty& duty);
int run_prefetch_daemon(const std::vector<std::string>& arguments);

}  // namespace bridgehead::init
