// FakeUpgrades: a manager that came with the agent's package 1.1.0, and has 1.0.0 for the way back.
#pragma once

#include "reconcile/upgrade_port.h"

namespace bridgehead::control_api::testing {

class FakeUpgrades final : public reconcile::UpgradePort {
 public:
  std::string version() const override { return "1.1.0"; }
  bool has(const std::string& version) const override { return version == "1.1.0" || version == "1.0.0"; }
};

}  // namespace bridgehead::control_api::testing
