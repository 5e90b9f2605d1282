// Tells the manager, when it is back, what it couldn't be told before the root's init started. Ends when that is done.
// Runs as "@bridgehead-report" (daemon.h).
#pragma once

#include "reports.h"
#include "result.h"

namespace bridgehead::init {

inline constexpr auto report_daemon_name = "@bridgehead-report";

// Returns when the daemon has taken them over.
Status start_report_daemon(const Reports& reports);
int run_report_daemon();

}  // namespace bridgehead::init
