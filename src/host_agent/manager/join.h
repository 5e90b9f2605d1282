// Joining a cluster and renewing the node's certificate. Blocking; not thread-safe (the state directory is locked by
// its one agent). Whatever fails can simply be repeated: the same token with the same key gives the same node again.
#pragma once

#include <string>

#include "base/clock.h"
#include "host_agent/manager/identity.h"
#include "host_agent/manager/manager_channel.h"

namespace bridgehead::host_agent {

struct Joined {
  Identity identity;
  bool already = false;  // this node was a member before; nothing was asked
};

// Trades a join token for an identity and saves it. already_exists: this node belongs to another cluster.
Result<Joined> join_cluster(const std::string& token, const IdentityFile& file, const JoinRequestFacts& facts,
                            const Clock& clock);

// A new key and certificate, saved before they are returned.
Result<Identity> renew_certificate(const Identity& identity, const IdentityFile& file, const Clock& clock);

}  // namespace bridgehead::host_agent
