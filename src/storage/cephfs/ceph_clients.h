// CephFS clients: the MDS's sessions, whose eviction frees a dead host's locks at once instead of after five minutes.
// The client's instance is blocklisted by it, not its host: that may mount again. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "model/pool.h"

namespace bridgehead::storage::cephfs {

Command clients_command(const model::Pool& pool);
// Ids of the clients at these addresses. data_corrupt: it isn't what `ceph tell mds client ls` prints.
Result<std::vector<std::string>> parse_clients(std::string_view output, const std::vector<std::string>& addresses);
Command evict_command(const model::Pool& pool, const std::string& id);

// Errors: see storage/dead_client.h.
Result<unsigned> evict_clients(const model::Pool& pool, const std::vector<std::string>& addresses,
                               CommandRunner& runner);

}  // namespace bridgehead::storage::cephfs
