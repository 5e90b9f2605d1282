// A tunnel's stream over gRPC's synchronous API: reads and writes block their callers, which is the flow control.
// See TunnelChannel.
#pragma once

#include <memory>

#include "host_agent/tunnels.h"

namespace grpc {
class Channel;
}

namespace bridgehead::host_agent {

std::unique_ptr<TunnelChannel> open_grpc_tunnel(std::shared_ptr<grpc::Channel> channel, const model::TunnelId& tunnel);

}  // namespace bridgehead::host_agent
