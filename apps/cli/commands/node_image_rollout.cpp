// node-image rollout: a rack boots another image, node by node.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/rollout.h"

namespace bridgehead::cli {
namespace {

constexpr char kImageRollout[] = "node_image.rollout";

// What each node of a rollout is doing: a node under way tells its own operation's phase.
Result<nlohmann::json> nodes_of(ApiClient& api, const nlohmann::json& rollout) {
  auto nodes = rollout.at("parameters").value("nodes", nlohmann::json::array());
  for (auto& node : nodes) {
    if (text(node, "/state") != "running") continue;
    const auto operation = api.get("/operations/" + path_segment(text(node, "/operation")));
    if (!operation) return forward(operation);
    node["message"] = text(*operation, "/progress/phase");
  }
  return nodes;
}

}  // namespace

Status show_rollout(Context& context, ApiClient& api, std::string_view kind, const std::string& target) {
  const auto found = api.get(target.empty() ? "/operations?limit=10000"
                                            : fmt::format("/operations?limit=10000&target={}", path_segment(target)));
  if (!found) return forward(found);
  for (const auto& operation : found->at("items")) {
    if (text(operation, "/kind") != kind) continue;
    const auto nodes = nodes_of(api, operation);
    if (!nodes) return forward(nodes);
    if (context.format() != OutputFormat::table) {
      auto shown = operation;
      shown["parameters"]["nodes"] = *nodes;
      return context.print_object(shown, {});
    }
    const auto error = text(operation, "/error/message");
    fmt::print("{} is {}{}{}\n", printable(text(operation, "/target_name")), printable(text(operation, "/state")),
               error.empty() ? "" : ": ", printable(error));
    context.print_list({{"items", *nodes}},
                       {column("NODE", "/name"), column("STATE", "/state"), column("FROM", "/from"),
                        column("OPERATION", "/operation"), column("MESSAGE", "/message")});
    return {};
  }
  context.say("No rollout is known.");
  return {};
}

void add_boot_deadline(CLI::App& command, std::optional<std::uint64_t>& seconds) {
  command.add_option("--boot-deadline", seconds,
                     "Seconds that a machine may take from power-on until it is as well as before (default 900)");
}

std::string rollout_text(const nlohmann::json& operation) {
  if (!text(operation, "/kind").ends_with(".rollout")) return {};
  std::string all;
  for (const auto& node : operation.at("parameters").value("nodes", nlohmann::json::array())) {
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", text(node, "/name"), text(node, "/state"));
  }
  return all;
}

void add_rollout(CLI::App& image, Context& context) {
  struct Options {
    std::string image;
    std::vector<std::string> nodes;
    std::uint64_t max_unavailable = 1, canary = 1;
    std::optional<std::uint64_t> boot_deadline;
    bool status = false;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* rollout = image.add_subcommand(
      "rollout", "Have nodes boot an image one after the other: guests move away first, none is stopped");
  rollout->add_option("image", options->image, "debian-12:4, or debian-12 for its newest version");
  auto* nodes = rollout->add_option("--nodes", options->nodes, "Names or patterns such as 'rack1-*' (repeatable)");
  nodes->delimiter(',');
  rollout->add_option("--max-unavailable", options->max_unavailable, "So many nodes at once (default 1)");
  rollout->add_option("--canary", options->canary,
                      "So many nodes must be well with it before any other begins (default 1)");
  add_boot_deadline(*rollout, options->boot_deadline);
  rollout->add_flag("--status", options->status, "Only show how far the last one (of this image) is, node by node");
  add_change_flags(*rollout, options->flags);
  on_chosen(*rollout, context, [&context, options](ApiClient& api) -> Status {
    if (options->status) return show_rollout(context, api, kImageRollout, options->image);
    if (options->image.empty() || options->nodes.empty()) {
      return fail_with_hint(ErrorCode::invalid_argument, "an image and --nodes are needed",
                            "bh node-image rollout debian-12:4 --nodes 'rack1-*'");
    }
    nlohmann::json body = {
        {"nodes", options->nodes}, {"max_unavailable", options->max_unavailable}, {"canary", options->canary}};
    if (options->boot_deadline) body["boot_deadline_seconds"] = *options->boot_deadline;
    const auto answer =
        api.post(fmt::format("/node-images/{}/rollout{}", path_segment(options->image), options->flags.query()), body);
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

}  // namespace bridgehead::cli
