// Commands that empty nodes for work on their machines, and roll node images out. The rules of commands.h hold. The
// other side of them: operations/node_maintain.cpp and node_image_rollout.cpp.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "model/planning.h"
#include "reconcile/commands/commands.h"
#include "reconcile/commands/netboot.h"

namespace bridgehead::reconcile {

struct MaintainNode {
  model::AfterDrain then = model::AfterDrain::reboot;
  std::optional<std::uint64_t> boot_deadline_seconds;  // 60 .. 86,400; omitted: 15 minutes. Not for off
};
struct Maintained {
  Accepted<model::Node> accepted;
  std::optional<model::Plan> moves;  // how its guests would leave it now; none = it has none that run
};
// Empties the node, then has its machine rebooted or switched off; update: with the newest version of its image.
// failed_precondition with all guests that can't leave, and where power control is missing.
Result<Maintained> maintain_node(Commander& commander, const Caller& caller, const std::string& node,
                                 const MaintainNode& request);

struct RolloutNodeImage {
  SelectNodes select;
  std::uint64_t max_unavailable = 1;
  std::uint64_t canary = 1;
  std::optional<std::uint64_t> boot_deadline_seconds;
};
// failed_precondition with all that stands in the way, of all nodes.
Result<Accepted<model::NodeImage>> rollout_node_image(Commander& commander, const Caller& caller,
                                                      const std::string& image, const RolloutNodeImage& request);

}  // namespace bridgehead::reconcile
