// node drain, undrain: its guests move away so that it can be worked on.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/rollout.h"
#include "cli/plan_view.h"

namespace bridgehead::cli {

void add_node_drain_commands(CLI::App& node, Context& context) {
  struct Options {
    std::string node, then;
    std::optional<std::uint64_t> boot_deadline;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* drain = node.add_subcommand("drain", "Close a node for new guests and move those that run there to others");
  drain->add_option("node", options->node, "Name or id")->required();
  drain
      ->add_option("--then", options->then,
                   "Once it is empty: reboot, off, or update (boot the newest version of its image). After reboot and "
                   "update it is opened again when it is as well as before; off stays closed")
      ->check(CLI::IsMember({"reboot", "off", "update"}));
  add_boot_deadline(*drain, options->boot_deadline);
  add_change_flags(*drain, options->flags);
  on_chosen(*drain, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = nlohmann::json::object();
    if (!options->then.empty()) body["then"] = options->then;
    if (options->boot_deadline) body["boot_deadline_seconds"] = *options->boot_deadline;
    const auto answer =
        api.post(fmt::format("/nodes/{}/drain{}", path_segment(options->node), options->flags.query()), body);
    if (!answer) return forward(answer);
    if (context.format() == OutputFormat::table && answer->at("plan").is_object()) {
      fmt::print("{}", show_plan(answer->at("plan"), terminal_width()));
    }
    if (answer->at("operation").is_object() || context.format() != OutputFormat::table) {
      if (auto followed = context.follow(*answer, options->flags.wait); !followed) return followed;
    }
    const auto* conflicts = find(*answer, "/plan/conflicts");
    if (conflicts != nullptr && !conflicts->empty() && options->then.empty()) {
      return fail_with_hint(ErrorCode::failed_precondition, "not all guests can leave the node",
                            "Make room or stop them, then drain it again.");
    }
    return {};
  });

  auto* undrain = node.add_subcommand("undrain", "Open a node again that was drained; no guest moves because of it");
  const auto name = std::make_shared<std::string>();
  add_object_argument(*undrain, "node", name);
  on_chosen(*undrain, context, [name](ApiClient& api) -> Status {
    const auto answer = api.post(fmt::format("/nodes/{}/undrain", path_segment(*name)));
    return answer ? Status{} : forward(answer);
  });
}

}  // namespace bridgehead::cli
