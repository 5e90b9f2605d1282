// node upgrade: agents get another version of their package, node by node.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/rollout.h"

namespace bridgehead::cli {
namespace {

constexpr char kAgentRollout[] = "agent.rollout";

}  // namespace

void add_node_upgrade_command(CLI::App& node, Context& context) {
  struct Options {
    std::vector<std::string> nodes;
    bool all = false, status = false, without_way_back = false;
    std::string version;
    std::uint64_t max_unavailable = 1, canaries = 1;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* upgrade = node.add_subcommand(
      "upgrade",
      "Have nodes' agents upgraded to the version that came with the manager, one after the other: guests run "
      "on. For agents that were installed as the Debian package; what doesn't work goes back by itself");
  auto* nodes = upgrade->add_option("node", options->nodes, "Names or patterns such as 'rack1-*'");
  upgrade->add_flag("--all", options->all, "Each node whose agent came with the package")->excludes(nodes);
  upgrade->add_option("--max-unavailable", options->max_unavailable, "So many nodes at once (default 1)");
  upgrade->add_option("--canaries", options->canaries,
                      "So many nodes must be well with it before any other begins (default 1)");
  upgrade->add_option("--to", options->version, "Another version that the manager has kept, such as the one before");
  upgrade->add_flag("--without-way-back", options->without_way_back,
                    "Also where the manager hasn't got the package that a node has now, to go back to");
  upgrade->add_flag("--status", options->status, "Only show how far the last one is, node by node");
  add_change_flags(*upgrade, options->flags);
  on_chosen(*upgrade, context, [&context, options](ApiClient& api) -> Status {
    if (options->status) return show_rollout(context, api, kAgentRollout, {});
    if (options->nodes.empty() && !options->all) {
      return fail_with_hint(ErrorCode::invalid_argument, "nodes or --all are needed", "bh node upgrade --all");
    }
    nlohmann::json body = {{"max_unavailable", options->max_unavailable},
                           {"canary", options->canaries},
                           {"without_way_back", options->without_way_back}};
    if (options->all) body["all"] = true;
    if (!options->nodes.empty()) body["nodes"] = options->nodes;
    if (!options->version.empty()) body["version"] = options->version;
    const auto answer = api.post("/agents/upgrade" + options->flags.query(), body);
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

}  // namespace bridgehead::cli
