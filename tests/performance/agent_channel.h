// How a simulated agent dials the manager: with its node's certificate, over a connection of its own.
#pragma once

#include <grpcpp/grpcpp.h>

#include "performance/simulated_cluster.h"

namespace bridgehead::performance {

inline std::shared_ptr<grpc::Channel> agent_channel(const SimulatedCluster& cluster, const SimulatedNode& node,
                                                    int port) {
  const grpc::SslCredentialsOptions options{cluster.ca_pem, cluster.key_pem, node.certificate_pem};
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("bridgehead-manager");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", port), grpc::SslCredentials(options), arguments);
}

}  // namespace bridgehead::performance
