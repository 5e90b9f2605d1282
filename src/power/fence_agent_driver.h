// FenceAgentDriver: any of Debian's fence agents
// (https://github.com/ClusterLabs/fence-agents/blob/main/doc/FenceAgentAPI.md). Its settings are checked against the
// metadata that the agent prints about itself, and go to its standard input, a `name=value` a line. An agent that would
// pass the password on in an argument or environment of another program is refused, and so is every parameter that
// names a program, a script or a log of its own.
#pragma once

#include <filesystem>
#include <map>

#include "base/command.h"
#include "power/power_driver.h"

namespace bridgehead::power {

struct FenceAgentParameter {
  std::vector<std::string> choices;  // empty = any value
  bool required = false;
  std::string replaced_by;  // an older name of that parameter
};

struct FenceAgentMetadata {
  std::string description;
  std::map<std::string, FenceAgentParameter> parameters;
  std::vector<std::string> actions;
};

// data_corrupt for what isn't an agent's metadata.
Result<FenceAgentMetadata> parse_fence_agent_metadata(std::string_view xml);

struct FenceAgentConfig {
  std::filesystem::path program;
  std::map<std::string, std::string> parameters;  // address and user among them, the password not
  std::string password;
};

// invalid_argument says which parameter is wrong; unsupported: the agent would show the password.
Status check_fence_agent_config(const FenceAgentConfig& config, const FenceAgentMetadata& metadata);

class FenceAgentDriver final : public PowerDriver {
 public:
  // Asks the agent for its metadata and checks the configuration. not_found: there is no such agent.
  static Result<std::unique_ptr<PowerDriver>> open(FenceAgentConfig config, CommandRunner& runner);

  PowerAbilities abilities() const override;
  Result<PowerState> read(const Attempt& attempt) override;
  Status request(PowerRequest request, const Attempt& attempt) override;
  void inspect(const Attempt& attempt, PowerCheck& check) override;

 private:
  FenceAgentDriver(FenceAgentConfig config, FenceAgentMetadata metadata, CommandRunner& runner)
      : config_(std::move(config)), metadata_(std::move(metadata)), runner_(runner) {}
  Result<CommandOutput> run(std::string_view action, const Attempt& attempt, std::vector<int> codes);

  const FenceAgentConfig config_;
  const FenceAgentMetadata metadata_;
  CommandRunner& runner_;
};

}  // namespace bridgehead::power
