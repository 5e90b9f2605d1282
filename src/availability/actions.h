// What the manager's side of availability wants to have done, as values. Each may be lost: what is still wanted comes
// again. Answers to those with a request number carry it back; late, doubled and missing answers do no harm.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "availability/lease.h"

namespace bridgehead::availability {

using RequestNumber = std::uint64_t;

// To an agent, by its stream.
struct SendAnswer {
  model::NodeId node;
  Answer answer;
};
// Other agents look whether the node's address answers on the guests' network.
struct AskPeers {
  model::NodeId node;
  RequestNumber request = 0;
};
// Another agent reads the number that the node's agent counts up in the shared pool.
struct ReadHeartbeat {
  model::NodeId node;
  RequestNumber request = 0;
};
struct PowerOff {
  model::NodeId node;
  RequestNumber request = 0;
};
struct ReadPower {
  model::NodeId node;
  RequestNumber request = 0;
};
// Another agent writes a file of this number against the node into the shared pool, or removes it. From when it can be
// read there the node's agent doesn't prolong leases by the pool.
struct WriteClaim {
  model::NodeId node;
  RequestNumber request = 0;
};
struct RemoveClaim {
  model::NodeId node;
  RequestNumber request = 0;
};

// Another node removes what the dead one's client still holds on the pool's servers.
struct FreeLocks {
  model::NodeId node;
  model::PoolId pool;
  RequestNumber request = 0;
};
// The guest's node is this one from now on, and it holds the lease.
struct Place {
  model::VmId vm;
  model::NodeId node;
  Token token = 0;
  std::string why;
};
// The guest isn't started again until a person says so.
struct GiveUp {
  model::VmId vm;
  std::string why;
};
// A person is asked, and needn't be any more.
struct Ask {
  RequestNumber question = 0;
  model::NodeId node;  // empty: about all
  std::string text;
};
struct Withdraw {
  RequestNumber question = 0;
};
// An event: what was decided or seen, and why.
struct Say {
  std::string about;  // id of a node or guest
  std::string text;
};

using Action = std::variant<SendAnswer, AskPeers, ReadHeartbeat, PowerOff, ReadPower, WriteClaim, RemoveClaim,
                            FreeLocks, Place, GiveUp, Ask, Withdraw, Say>;
using Actions = std::vector<Action>;

}  // namespace bridgehead::availability
