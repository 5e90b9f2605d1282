// A lab's hosts: each a container with its own network, mounts, name and processes, in which libvirtd and
// bridgehead-agent run as on a machine. Power off is the end of all of them at once, guests too, and nothing answers
// any more. What a host keeps lies in the lab's directory.
#pragma once

#include <functional>

#include "base/command.h"
#include "base/result.h"
#include "lab/lab_state.h"

namespace bridgehead::lab {

inline constexpr char kHostInit[] = "host-init";  // the hidden command that becomes a host's first process

// Its directories and configuration, and its right to join the manager once. The manager runs.
Status prepare_host(CommandRunner& runner, const Places& places, const LabState& state, const Member& host);

bool is_on(const Member& host);
// On already: success. Returns when its first process runs; the agent comes up by itself.
Status switch_host_on(const Places& places, Member& host, const std::function<Status()>& save);
Status switch_host_off(const Places& places, Member& host, const std::function<Status()>& save);

// Comes back in a child of this process that is in it: in its network, its mounts, among its processes. This process
// waits for the child and ends as it did. Errors: failed_precondition (off).
Status enter_host(const Member& host);

// This process becomes the host, for as long as it is on. Comes back only with an error.
Status be_host(const Places& places, const std::string& name);

}  // namespace bridgehead::lab
