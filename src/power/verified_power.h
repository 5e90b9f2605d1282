// VerifiedPower: PowerControl on top of any driver: asks, reads, asks again, and believes only what was read. Time
// comes from outside, so that tests need none.
#pragma once

#include <memory>
#include <mutex>

#include "power/power_driver.h"

namespace bridgehead::power {

// Waits so long, or until a stop is requested.
using Pause = std::function<void(std::chrono::milliseconds, const std::stop_token&)>;
void pause(std::chrono::milliseconds time, const std::stop_token& stop);

class VerifiedPower final : public PowerControl {
 public:
  // `machine` is its name, for errors and logs. The clock must outlive it. Without a witness the BMC alone is believed,
  // and the report says so.
  VerifiedPower(std::string machine, std::unique_ptr<PowerDriver> driver, const Clock& clock, PowerWitness witness = {},
                Pause pause = power::pause);

  Result<PowerState> status(const PowerLimits& limits) override;
  Result<PowerReport> on(const PowerLimits& limits) override;
  Result<PowerReport> off(const PowerLimits& limits) override;
  Result<PowerReport> cycle(const std::function<Status()>& switched_off, const PowerLimits& limits) override;
  Result<PowerReport> sleep(const std::function<Status()>& fall_asleep, const PowerLimits& limits) override;
  PowerCheck check(const PowerLimits& limits) override;

 private:
  class Change;

  Result<std::unique_lock<std::timed_mutex>> take_turn(const PowerLimits& limits);
  std::chrono::milliseconds left(Monotonic until) const;
  Result<PowerState> read_once(const PowerLimits& limits, Monotonic until);
  Status ask_once(PowerRequest request, const PowerLimits& limits, Monotonic until);
  Result<PowerReport> change(PowerState target, const PowerLimits& limits, Monotonic until,
                             const std::function<Status()>& fall_asleep = {});

  const std::string machine_;
  const std::unique_ptr<PowerDriver> driver_;
  const Clock& clock_;
  const PowerWitness witness_;
  const Pause pause_;
  std::timed_mutex mutex_;
};

}  // namespace bridgehead::power
