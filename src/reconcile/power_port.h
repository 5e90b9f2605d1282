// The seam between the API and what reaches machines without their system (power_desk): what a BMC says now, and their
// serial console. Changes of power go another way: commands/power.h. Implementations are thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/bmc.h"
#include "reconcile/agent_port.h"

namespace bridgehead::reconcile {

struct PowerReading {
  model::MachinePower state = model::MachinePower::unknown;
  std::string warning;  // why that may be wrong; "" = nothing speaks against it
};

struct BmcFinding {
  std::string subject;  // "reachable", "credentials", ...
  std::string level;    // "good", "warning", "bad"
  std::string message;
  std::string fix;
};

struct BmcCheck {
  bool good = false;
  std::vector<BmcFinding> findings;
  bool reads = false, switches_on = false, switches_off = false, tells_sleep = false;
  std::optional<std::chrono::milliseconds> latency;
  std::optional<std::chrono::seconds> clock_skew;
};

class PowerPort {
 public:
  virtual ~PowerPort() = default;
  // Whether a driver takes these settings; the BMC isn't asked. May run a program for a moment.
  virtual Status try_settings(const model::Bmc& bmc, std::string_view password) const = 0;
  // `told` is called once, from another thread, in up to half a minute. unavailable: too many are asked already.
  virtual Status read(const model::NodeId& node, std::function<void(Result<PowerReading>)> told) = 0;
  // What the whole machine takes now, by its BMC, with `told` as above. unsupported: it measures nothing.
  virtual Status read_watts(const model::NodeId& node, std::function<void(Result<double>)> told) = 0;
  // Asks the BMC to cut the power, of whatever runs there: for fencing, which reads the outcome itself. `told` as
  // above; success says that the BMC took it.
  virtual Status order_off(const model::NodeId& node, std::function<void(Status)> told) = 0;
  virtual Status check(const model::NodeId& node, std::function<void(Result<BmcCheck>)> told) = 0;
  // The machine's own serial console, as a tunnel that no agent is at the end of. `take_over`: whoever else has it
  // open, at the BMC, loses it. Errors: unsupported: its driver has none; unavailable: too many are open already; all
  // else ends the tunnel.
  virtual Result<std::shared_ptr<Tunnel>> open_console(const model::NodeId& node, bool take_over,
                                                       TunnelHandlers handlers) = 0;
};

}  // namespace bridgehead::reconcile
