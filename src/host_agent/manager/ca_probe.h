// Gets the manager's CA certificate before it can be trusted: one TLS handshake that believes nothing, and the
// certificate of the chain whose fingerprint the join token names. Only that CA is trusted from then on; gRPC then
// verifies the server against it as usual. Blocking. Errors: unavailable and timeout (nobody answers),
// permission_denied (no certificate with that fingerprint: this isn't the manager the token is from), invalid_argument
// (address).
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace bridgehead::host_agent {

// `address`: "host:port", IPv6 in brackets. Gives the CA as PEM.
Result<std::string> fetch_ca(const std::string& address, const std::string& fingerprint, std::chrono::seconds timeout);

}  // namespace bridgehead::host_agent
