// How a machine's power is reached, as an administrator says it; opens the driver for it. Everything is checked before
// a driver exists: errors are invalid_argument (naming the setting and what it may be), not_found (a program that isn't
// installed) and data_corrupt (a fence agent that doesn't describe itself).
#pragma once

#include <filesystem>
#include <map>
#include <memory>

#include "base/command.h"
#include "power/power_driver.h"

namespace bridgehead::power {

struct PowerSettings {
  std::string driver;      // ipmi, redfish, wol, lab, or the name of a fence agent: fence_apc
  std::string address;     // host name or IP address of the BMC; none for wol and lab
  std::uint16_t port = 0;  // 0 = the driver's usual one
  std::string user;
  std::map<std::string, std::string> options;  // docs/power.md lists each driver's
  bool operator==(const PowerSettings&) const = default;
};

struct PowerTools {
  CommandRunner& runner;                             // must outlive the driver
  std::filesystem::path fence_agents = "/usr/sbin";  // where Debian has them
  std::filesystem::path lab_program = "bridgehead-lab";
};

// The password is kept in the driver's memory, and passed on by no argument, environment variable or file.
Result<std::unique_ptr<PowerDriver>> open_driver(const PowerSettings& settings, std::string_view password,
                                                 const PowerTools& tools);

}  // namespace bridgehead::power
