// Frees what the client of a host that is certainly dead still holds on a shared file system, where the servers would
// keep it for minutes to a day: docs/availability.md. Each file system's way is in its folder. Blocks; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/command.h"
#include "model/pool.h"

namespace bridgehead::storage {

// How many clients (sessions) were removed; 0: there was none, or none any more. `addresses`: IPv4, which no living
// host has. MooseFS: one that its master still counts as connected is never touched. Errors: unavailable (it is still
// connected: ask again), not_found (a program is missing: the hint names its package), unsupported (the driver has no
// way, or was given none: model::can_free_locks), and those of CommandRunner.
Result<unsigned> free_dead_client(const model::Pool& pool, const std::vector<std::string>& addresses,
                                  CommandRunner& runner);

// The same for this host's own client from before it was started anew. To be called while the pool isn't mounted here.
Result<unsigned> free_own_dead_client(const model::Pool& pool, CommandRunner& runner);

}  // namespace bridgehead::storage
