// RedfishDriver: a system of a BMC that speaks Redfish (DMTF DSP0266; ComputerSystem of DSP2046). The system is found,
// and what it can be asked for is read from it, not assumed. Redfish knows no sleep: its Suspend writes the state to
// disk.
#pragma once

#include "power/redfish_client.h"

namespace bridgehead::power {

class RedfishDriver final : public PowerDriver {
 public:
  explicit RedfishDriver(RedfishConfig config) : client_(std::move(config)) {}

  PowerAbilities abilities() const override { return {}; }
  Result<PowerState> read(const Attempt& attempt) override;
  Status request(PowerRequest request, const Attempt& attempt) override;
  void inspect(const Attempt& attempt, PowerCheck& check) override;
  Result<double> watts(const Attempt& attempt) override;  // Power of DSP2046, of the system's first chassis

 private:
  struct Reset {
    std::string target;
    std::vector<std::string> types;  // empty = it doesn't say
  };
  Result<std::string> find_system(const Attempt& attempt);
  Result<nlohmann::json> read_system(const Attempt& attempt);
  Result<Reset> find_reset(const Attempt& attempt);
  void inspect_certificate(const Attempt& attempt, PowerCheck& check);

  RedfishClient client_;
  std::string system_;  // its path, once it is found
  std::optional<Timestamp> date_;
};

}  // namespace bridgehead::power
