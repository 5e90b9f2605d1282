// What handlers work with. References only; everything in it is thread-safe.
#pragma once

#include "control_api/auth.h"
#include "control_api/server.h"
#include "pki/secret_box.h"
#include "reconcile/agent_port.h"
#include "reconcile/availability_port.h"
#include "reconcile/commands/commands.h"
#include "reconcile/energy_port.h"
#include "reconcile/metrics.h"
#include "reconcile/netboot_port.h"
#include "reconcile/power_port.h"
#include "reconcile/progress_board.h"
#include "reconcile/upgrade_port.h"

namespace bridgehead::control_api {

class EventHub;
class Metrics;
class Sessions;

struct Services {
  const ServerConfig& config;
  reconcile::Commander& commander;
  reconcile::AgentPort& agents;
  reconcile::TunnelBroker& tunnels;
  reconcile::ProgressBoard& progress;
  Authenticator& authenticator;
  EventHub& events;
  Metrics& metrics;
  Sessions& sessions;
  const reconcile::ReconcileMetrics& reconcile_metrics;
  const std::function<std::vector<ExtraMetric>()>& extra_metrics;
  reconcile::NetbootPort* netboot;            // null = this manager boots no machines
  const pki::SecretBox* secrets;              // null = it takes no secret files
  reconcile::PowerPort* power;                // null = this manager switches no machines
  reconcile::AvailabilityPort* availability;  // null = it doesn't watch over nodes
  reconcile::EnergyPort* energy;              // null = it doesn't add up what nodes take
  const reconcile::UpgradePort* upgrades;     // null = it upgrades no agents

  const state::Inventory& inventory() const { return commander.inventory; }
};

}  // namespace bridgehead::control_api
