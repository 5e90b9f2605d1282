// gRPC to the manager: channels over mutual TLS, the two unary calls, and gRPC's status as an Error. Thread-safe.
// Errors: unavailable (nobody answers), timeout, unauthenticated, permission_denied and what else the manager says.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "host_agent/manager/identity.h"

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace bridgehead::host_agent {

// A new connection, made at the first call; never shared with another channel, so that our own backoff governs.
// Without certificate and key it authenticates the manager only (join).
std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const std::string& ca_pem,
                                            const std::string& certificate_pem, const std::string& key_pem);

Error from_grpc(const grpc::Status& status);

struct JoinAnswer {
  model::NodeId node;
  std::string certificate_pem;
};

struct JoinRequestFacts {
  std::string hostname;
  std::string machine_id;
};

Result<JoinAnswer> call_join(const std::string& address, const std::string& ca_pem, const std::string& token,
                             const std::string& request_pem, const JoinRequestFacts& facts,
                             std::chrono::seconds timeout);

// The new certificate.
Result<std::string> call_renew(const Identity& identity, const std::string& request_pem, std::chrono::seconds timeout);

}  // namespace bridgehead::host_agent
