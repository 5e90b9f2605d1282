// Under which names and addresses this manager is reached: what its certificates say and what a join token carries.
// Reads the machine's host name and interfaces; never fails: what can't be found out is left away.
#pragma once

#include <string>
#include <vector>

#include "manager/config.h"

namespace bridgehead::manager {

struct Advertised {
  std::vector<std::string> names;      // for the certificate, "bridgehead-manager" first
  std::vector<std::string> addresses;  // loopback too
  std::string agent_endpoint;          // "host:port" for join tokens
};

// The endpoint's host: the first of config.advertise; else the address it listens at; else, where it listens at all of
// them, this machine's first that isn't loopback.
Advertised advertised(const Config& config, std::uint16_t agent_port);

}  // namespace bridgehead::manager
