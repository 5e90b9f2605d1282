// One order to an agent about its upgrade, with the packages behind it, and the agent's answer. Blocks. Errors: the
// agent's (unsupported: it is too old to know of this), unavailable, timeout, cancelled, data_corrupt.
#pragma once

#include <chrono>
#include <stop_token>
#include <vector>

#include "model/upgrade.h"
#include "reconcile/agent_port.h"

namespace bridgehead::upgrade_desk {

// `content`: of the packages that the order names, in its order. `patience`: for each answer of the other side, be it
// that a piece was taken; whoever takes nothing for so long is given up.
Result<model::UpgradeAnswer> send_order(reconcile::TunnelBroker& tunnels, const model::NodeId& node,
                                        const model::UpgradeOrder& order, const std::vector<std::string>& content,
                                        std::chrono::milliseconds patience, const std::stop_token& stop);

}  // namespace bridgehead::upgrade_desk
