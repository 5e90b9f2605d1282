// Taking a lab apart from its record alone.
#pragma once

#include "base/command.h"
#include "base/result.h"
#include "lab/lab_state.h"

namespace bridgehead::lab {

// Processes, network, files; the record goes last. Goes on after an error and returns the first. For the lock's holder.
Status remove_lab(CommandRunner& runner, const Places& places, LabState& state);

// A directory without a record is removed only if there is nothing in it that a lab didn't leave.
Status remove_unrecorded(const Places& places);

// The host's net.ipv4.ip_forward.
Result<bool> host_forwards();
Status set_host_forwarding(bool on);
// Any other lab with nat found it off.
bool another_found_it_off(const Places& places);

}  // namespace bridgehead::lab
