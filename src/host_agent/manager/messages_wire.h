// Between api/agent.proto's messages and the agent's own types. Pure functions. Errors: data_corrupt or unsupported for
// what can't be understood.
#pragma once

#include "agent.pb.h"
#include "host_agent/manager/outbox.h"
#include "host_agent/manager/session.h"
#include "model/codec.h"

namespace bridgehead::host_agent {

// Any but ReportWanted.
agent::v1::AgentMessage to_wire(const Outgoing& message);

Result<WelcomeMessage> welcome_from_wire(const agent::v1::Welcome& welcome);
SecretSet secrets_from_wire(const agent::v1::SecretFiles& files);
Result<TunnelOrder> tunnel_from_wire(const agent::v1::OpenTunnel& open);

}  // namespace bridgehead::host_agent
