// IpmiDriver: IPMI 2.0 over LAN by ipmitool (RMCP+, always with authentication and encryption). The password goes to
// a pipe, which it reads as a password file: no argument, no environment, no file on disk. Its words are turned into
// what is wrong and what to do.
#pragma once

#include "base/command.h"
#include "power/power_driver.h"

namespace bridgehead::power {

struct IpmiConfig {
  std::string address;
  std::uint16_t port = 623;
  std::string user;
  std::string password;       // at most 20 bytes (IPMI 2.0, table 22-28)
  std::string cipher = "17";  // ids of IPMI 2.0, table 22-20; ipmitool's own search for one takes ten seconds
  std::string privilege = "OPERATOR";
};

// Of all suites those with a strong enough proof of identity, integrity and encryption. (0 takes any password.)
inline const std::vector<std::string> kIpmiCiphers{"17", "3", "8", "12"};
inline const std::vector<std::string> kIpmiPrivileges{"OPERATOR", "ADMINISTRATOR", "USER"};

class IpmiDriver final : public PowerDriver {
 public:
  IpmiDriver(IpmiConfig config, CommandRunner& runner) : config_(std::move(config)), runner_(runner) {}

  PowerAbilities abilities() const override { return {}; }
  Result<PowerState> read(const Attempt& attempt) override;
  Status request(PowerRequest request, const Attempt& attempt) override;
  void inspect(const Attempt& attempt, PowerCheck& check) override;
  Result<double> watts(const Attempt& attempt) override;   // DCMI 1.5, Get Power Reading
  std::optional<ConsoleProgram> console() const override;  // Serial over LAN

  Command command(std::vector<std::string> words, std::chrono::milliseconds timeout) const;

 private:
  std::vector<std::string> arguments(std::string password_file, std::chrono::milliseconds timeout) const;
  Result<std::string> run(std::vector<std::string> words, const Attempt& attempt);
  void inspect_privilege(const Attempt& attempt, PowerCheck& check);
  void inspect_clock(const Attempt& attempt, PowerCheck& check);

  const IpmiConfig config_;
  CommandRunner& runner_;
};

// What ipmitool said on its standard error (with -v), as an error with a next step.
Error explain_ipmitool(std::string_view said, const IpmiConfig& config);
// The BMC's time as `sel time get` prints it; nothing where the BMC was never told one.
std::optional<Timestamp> parse_sel_time(std::string_view text);

// What `dcmi power reading` prints; nothing where it measures nothing now.
std::optional<double> parse_dcmi_watts(std::string_view text);

}  // namespace bridgehead::power
