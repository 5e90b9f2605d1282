// One look of one node for another, by a tunnel to the agent that looks. Keeps itself alive until it has ended.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "reconcile/agent_port.h"

namespace bridgehead::availability_desk {

// `told` is called at most once, from another thread, with what the agent said; not at all where it couldn't look.
void look(reconcile::TunnelBroker& broker, const model::NodeId& from, const reconcile::TunnelRequest& request,
          std::function<void(const std::string&)> told);

}  // namespace bridgehead::availability_desk
