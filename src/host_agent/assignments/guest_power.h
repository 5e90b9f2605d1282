// Bringing a defined guest to a power state. Free functions on the node's services; blocking, idempotent.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

struct StopPolicy {
  bool force = false;              // power off at once
  std::chrono::seconds grace{60};  // how long it may take to shut down before it is forced; 0 = then fail instead
};

// Asks the guest by ACPI, again every few seconds, and waits for its end; then forces it. Errors: failed_precondition
// (it didn't shut down and may not be forced), cancelled (it may still shut down).
Status stop_guest(const NodeServices& services, const model::VmId& vm, const StopPolicy& policy, const Task& task);

// From `now` to running or paused. failed_precondition, too: its lease ends by time, and the manager doesn't say in
// time that it may be started here.
Status run_guest(const NodeServices& services, const model::VmId& vm, hypervisor::GuestState now, bool paused,
                 std::stop_token stop);

}  // namespace bridgehead::host_agent
