// What the commands that renew nodes share.
#pragma once

#include <optional>

#include "cli/context.h"

namespace bridgehead::cli {

// --boot-deadline SECONDS
void add_boot_deadline(CLI::App& command, std::optional<std::uint64_t>& seconds);
// node-image rollout
void add_rollout(CLI::App& image, Context& context);
// How far the newest operation of this kind (of `target`; "" = of any) is, node by node.
Status show_rollout(Context& context, ApiClient& api, std::string_view kind, const std::string& target);
// "m1 done, m2 running": of an operation node_image.rollout or agent.rollout; "" for others.
std::string rollout_text(const nlohmann::json& operation);

}  // namespace bridgehead::cli
