// The manager's own network interfaces. Free functions; thread-safe.
#pragma once

#include <string>

#include "base/result.h"

namespace bridgehead::control_api {

// The first IPv4 address of an interface of this machine with its prefix length, "10.20.0.1/22".
// Errors: invalid_argument for field "interface", naming the interfaces there are; io_error.
Result<std::string> own_ipv4_address(const std::string& interface);

}  // namespace bridgehead::control_api
