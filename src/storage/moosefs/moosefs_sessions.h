// What MooseFS's master tells and does for its clients, by mfscli: commands as values, what their output says. Sessions
// are what it keeps of each mount, with QEMU's locks, for a day after the host has died; those that nobody uses are
// removed. Thread-safe.
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

// Chunk servers that are connected, by mfscli's list of them; 0 where it can't be understood.
Command servers_command(const Master& master);
unsigned count_servers(std::string_view output);

// Those of these addresses where the agents mount the pool. Errors: see storage/dead_client.h.
Result<unsigned> remove_sessions(const model::Pool& pool, const std::vector<std::string>& addresses,
                                 CommandRunner& runner);

}  // namespace bridgehead::storage::moosefs
