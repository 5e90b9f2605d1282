// WolDriver: wakes a machine by magic packets (AMD, "Magic Packet Technology", 1995: six bytes 0xFF and sixteen times
// the MAC address, then the SecureOn password if there is one), by UDP. It can't switch off, nor tell the state: others
// must confirm what comes of it.
#pragma once

#include <array>

#include "power/power_driver.h"

namespace bridgehead::power {

using MacAddress = std::array<std::uint8_t, 6>;
// "52:54:00:12:34:56", also with dashes; invalid_argument otherwise.
Result<MacAddress> parse_mac(std::string_view text);
// The same form, whatever the bytes.
std::optional<MacAddress> parse_six_bytes(std::string_view text);

struct WolConfig {
  MacAddress mac{};
  std::string broadcast = "255.255.255.255";  // IPv4; a subnet's own reaches machines behind a router that lets it pass
  std::string interface;                      // leave by this one; needed on a manager with several networks
  std::uint16_t port = 9;
  std::string secure_on;  // six bytes, or none
};

std::string magic_packet(const MacAddress& mac, std::string_view secure_on);

class WolDriver final : public PowerDriver {
 public:
  explicit WolDriver(WolConfig config) : config_(std::move(config)) {}

  PowerAbilities abilities() const override { return {.status = false, .on = true, .off = false}; }
  Result<PowerState> read(const Attempt&) override { return PowerState::unknown; }
  Status request(PowerRequest request, const Attempt& attempt) override;
  void inspect(const Attempt& attempt, PowerCheck& check) override;

 private:
  Status send_packets(bool really) const;

  const WolConfig config_;
};

}  // namespace bridgehead::power
