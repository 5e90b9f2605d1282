// Switching machines on and off, as their power button and their plug would. For the holder of the lab's lock.
#pragma once

#include <chrono>
#include <functional>

#include "base/result.h"
#include "lab/lab_state.h"

namespace bridgehead::lab {

bool is_on(const LabMachine& machine);
// It sleeps (S3): QEMU runs, its CPUs don't. Errors: QEMU doesn't answer.
Result<bool> is_asleep(const Places& places, const LabMachine& machine);

// Writes the state, with the new process in it, before that process does anything.
using SaveState = std::function<Status()>;

// Returns when QEMU runs and answers. On already: success. Wakes a machine that sleeps. Errors name QEMU's own words.
Status switch_on(const Places& places, Accelerator accelerator, LabMachine& machine, const SaveState& save);

// Pulls the plug. Off already: success.
Status switch_off(const Places& places, LabMachine& machine, const SaveState& save);

// Presses the power button and waits. Errors: timeout (it is still on; the system in it doesn't obey).
Status shut_down(const Places& places, LabMachine& machine, std::chrono::seconds patience, const SaveState& save);

// Errors: failed_precondition if it is off.
Status reset(const Places& places, const LabMachine& machine);

}  // namespace bridgehead::lab
