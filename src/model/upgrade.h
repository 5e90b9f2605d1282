// What manager and agent say to each other of the agent's upgrade, in a tunnel of that kind: one line of JSON from the
// manager, after it the bytes of the packages (the new one, then the one for the way back), and one line back. Values;
// reading fails with data_corrupt. Missing fields keep their defaults, so that versions one apart understand each
// other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::model {

// The Debian package whose version agents are upgraded to.
inline constexpr char kAgentPackage[] = "bridgehead-agent";

struct AgentPackage {
  std::string version;
  std::uint64_t size = 0;
  std::string sha256;  // hex, lower case
  bool operator==(const AgentPackage&) const = default;
};

struct UpgradeOrder {
  OperationId operation;
  std::optional<AgentPackage> install;  // none: only how far `operation` is
  std::optional<AgentPackage> before;   // for the way back
  bool operator==(const UpgradeOrder&) const = default;
};

enum class UpgradeState { none, installing, done, failed };

struct UpgradeAnswer {
  UpgradeState state = UpgradeState::none;
  std::string message;  // why it failed, and what the node runs now
  bool operator==(const UpgradeAnswer&) const = default;
};

std::string text_of(const UpgradeOrder& order);  // without a newline
Result<UpgradeOrder> upgrade_order_from(std::string_view text);
std::string text_of(const UpgradeAnswer& answer);
Result<UpgradeAnswer> upgrade_answer_from(std::string_view text);

}  // namespace bridgehead::model
