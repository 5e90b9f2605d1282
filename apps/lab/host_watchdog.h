// The watchdog of a lab's host: a process outside of it that reads a FIFO in the host (host_agent/host_watchdog.h
// writes there) and switches the host off when it was armed and isn't fed for its time.
#pragma once

#include <functional>

#include "base/result.h"
#include "lab/lab_state.h"

namespace bridgehead::lab {

inline constexpr char kHostWatchdog[] = "host-watchdog";  // the hidden command that becomes one

// With the host's power. On already: success.
Status start_watchdog(const Places& places, Member& host, const std::function<Status()>& save);
Status end_watchdog(Member& host);

// This process becomes it. Comes back only with an error.
Status be_watchdog(const Places& places, const std::string& host);

}  // namespace bridgehead::lab
