// FakePower: machines' power, as the test says it is. Thread-safe: set it before the server starts.
#pragma once

#include "control_api/testing/fake_tunnels.h"
#include "reconcile/power_port.h"

namespace bridgehead::control_api::testing {

class FakePower final : public reconcile::PowerPort {
 public:
  Status try_settings(const model::Bmc& bmc, std::string_view password) const override {
    if (bmc.driver != "ipmi") return fail(ErrorCode::invalid_argument, "there is no driver '{}'", bmc.driver);
    if (password != "hush-hush") return fail(ErrorCode::invalid_argument, "the password is missing");
    return {};
  }
  Status read(const model::NodeId&, std::function<void(Result<reconcile::PowerReading>)> told) override {
    told(reading);
    return {};
  }
  Status read_watts(const model::NodeId&, std::function<void(Result<double>)> told) override {
    told(fail(ErrorCode::unsupported, "it measures no watts"));
    return {};
  }
  Status order_off(const model::NodeId&, std::function<void(Status)> told) override {
    told({});
    return {};
  }
  Status check(const model::NodeId&, std::function<void(Result<reconcile::BmcCheck>)> told) override {
    told(reconcile::BmcCheck{.good = true,
                             .findings = {{"reachable", "good", "it answers", ""}},
                             .reads = true,
                             .switches_on = true,
                             .switches_off = true,
                             .tells_sleep = false,
                             .latency = std::chrono::milliseconds(120),
                             .clock_skew = std::chrono::seconds(-3)});
    return {};
  }

  Result<std::shared_ptr<reconcile::Tunnel>> open_console(const model::NodeId& node, bool,
                                                          reconcile::TunnelHandlers handlers) override {
    return consoles.open(node, {}, std::move(handlers));
  }

  FakeTunnels consoles;  // what machines say on their consoles
  Result<reconcile::PowerReading> reading = reconcile::PowerReading{.state = model::MachinePower::on, .warning = {}};
};

}  // namespace bridgehead::control_api::testing
