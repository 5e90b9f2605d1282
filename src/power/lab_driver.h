// LabDriver: the machines and hosts of a lab (`bh lab`), by the program that made them.
#pragma once

#include <filesystem>

#include "base/command.h"
#include "power/power_driver.h"

namespace bridgehead::power {

struct LabConfig {
  std::filesystem::path program;
  std::string lab;
  std::string machine;
  std::string directory;  // of all labs; empty = the usual one
};

class LabDriver final : public PowerDriver {
 public:
  LabDriver(LabConfig config, CommandRunner& runner) : config_(std::move(config)), runner_(runner) {}

  PowerAbilities abilities() const override { return {.tells_sleep = true}; }
  Result<PowerState> read(const Attempt& attempt) override;
  Status request(PowerRequest request, const Attempt& attempt) override;
  void inspect(const Attempt& attempt, PowerCheck& check) override;
  std::optional<ConsoleProgram> console() const override;

 private:
  Command command(std::vector<std::string> words, std::chrono::milliseconds timeout) const;
  Result<std::string> run(const std::string& action, const Attempt& attempt);

  const LabConfig config_;
  CommandRunner& runner_;
};

}  // namespace bridgehead::power
