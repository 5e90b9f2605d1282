// MooseFS sessions: what its master keeps of each mount, for a day after the host has died, with QEMU's locks. Commands
// as values, what their output says, and the removal of those that nobody uses. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "model/pool.h"

namespace bridgehead::storage::moosefs {

struct Master {
  std::string host;
  std::string port;
};
Master master_of(const model::Pool& pool);

struct Session {
  std::string id;
  std::string address;
  std::string point;  // where it was mounted, on its host
  bool connected = false;
  bool operator==(const Session&) const = default;
};

Command sessions_command(const Master& master);
// Of what mfscli 3 prints; lines of another form are none.
std::vector<Session> parse_sessions(std::string_view output);
Command remove_session_command(const Master& master, const std::string& id);

// Those of these addresses where the agents mount the pool. Errors: see storage/dead_client.h.
Result<unsigned> remove_sessions(const model::Pool& pool, const std::vector<std::string>& addresses,
                                 CommandRunner& runner);

}  // namespace bridgehead::storage::moosefs
