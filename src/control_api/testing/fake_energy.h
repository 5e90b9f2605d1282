// FakeEnergy: what was taken, as the test says it was. Thread-safe: set it before the server starts.
#pragma once

#include "reconcile/energy_port.h"

namespace bridgehead::control_api::testing {

class FakeEnergy final : public reconcile::EnergyPort {
 public:
  Result<reconcile::EnergyReport> report(Timestamp from) const override {
    auto all = now;
    all.span.from = from;
    return all;
  }
  std::optional<double> watts_by_bmc(const model::NodeId& node) const override {
    const auto found = watts.find(node);
    return found == watts.end() ? std::nullopt : std::optional(found->second);
  }

  reconcile::EnergyReport now;
  std::map<model::NodeId, double> watts;
};

}  // namespace bridgehead::control_api::testing
