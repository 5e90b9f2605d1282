// What in the cluster needs a person, as it is now: what `bh status` shows and alert_desk tells. Free functions;
// thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/alert.h"
#include "reconcile/availability_port.h"
#include "reconcile/netboot_port.h"
#include "reconcile/upgrade_port.h"
#include "state/inventory.h"

namespace bridgehead::reconcile {

struct Problem {
  std::string_view condition;  // a word of docs/alerts.md
  model::AlertSeverity severity = model::AlertSeverity::warning;
  std::string object_kind;
  std::string object;  // name; "" = the cluster
  std::string message;
  std::string action;  // what to do
};

struct ProblemSources {
  const state::Inventory& inventory;
  Timestamp now;
  const NetbootPort* netboot = nullptr;            // null: this manager boots no machines
  const AvailabilityPort* availability = nullptr;  // null: it doesn't watch over nodes
  const UpgradePort* upgrades = nullptr;           // null: it upgrades no agents
};

// Whether the node should be up: not so a machine that only waits for approval or for an image.
bool is_member(const model::Node& node);

std::vector<Problem> find_problems(const ProblemSources& sources);

}  // namespace bridgehead::reconcile
