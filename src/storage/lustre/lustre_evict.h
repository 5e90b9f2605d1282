// Lustre clients: eviction on the servers frees a dead host's locks in about a second instead of 100. Over SSH, by the
// logins that the pool's options name. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/command.h"
#include "model/pool.h"

namespace bridgehead::storage::lustre {

// One for each server and each of its services; a server has either, so one of the two fails. `address`: the client's.
std::vector<Command> evict_commands(const model::Pool& pool, const std::string& login, const std::string& address);

// How many servers were told. Errors: see storage/dead_client.h.
Result<unsigned> evict_clients(const model::Pool& pool, const std::vector<std::string>& addresses,
                               CommandRunner& runner);

}  // namespace bridgehead::storage::lustre
