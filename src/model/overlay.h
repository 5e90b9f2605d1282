// Files laid over a node's root: where they may lie, how many and how large they may be, and what is replaced in them.
// The manager holds these when they are set, the agent again before it writes. Pure; thread-safe.
// Errors: invalid_argument, naming the path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/netboot.h"

namespace bridgehead::model {

// Of one profile or one node; the files of both together fit into one message to an agent.
inline constexpr std::size_t kMostOverlayFiles = 64;
inline constexpr Bytes kLargestOverlayFile = 64_KiB;
inline constexpr Bytes kLargestOverlay = 512_KiB;

// What ${node}, ${address}, ${mac} and ${image} become in an OverlayFile. "$$" is a plain "$".
struct OverlayVariables {
  std::string node;
  std::string address;
  std::string mac;
  std::string image;
};

// "$" followed by anything but "{" or "$" is itself.
Result<std::string> substitute(std::string_view text, const OverlayVariables& variables);

Status check_overlay(const std::vector<OverlayFile>& files);
// None at the path of one of `files`, none where the agent or the kernel keeps its own.
Status check_secrets(const std::vector<SecretFile>& secrets, const std::vector<OverlayFile>& files);
Status check_secret_path(std::string_view path);

}  // namespace bridgehead::model
