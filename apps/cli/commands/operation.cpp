#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/rollout.h"

namespace bridgehead::cli {
namespace {

std::string progress(const nlohmann::json& operation) {
  const auto total = number(operation, "/progress/total");
  const auto phase = text(operation, "/progress/phase");
  if (text(operation, "/state") != "running" || total == 0) return text(operation, "/state") == "running" ? phase : "";
  return fmt::format("{} {} %", phase, number(operation, "/progress/done") * 100 / total);
}

std::vector<Column> columns() {
  return {column("ID", "/id"),           column("KIND", "/kind"),          column("TARGET", "/target_name"),
          column("STATE", "/state"),     {"PROGRESS", progress},           column("BY", "/created_by"),
          age_column("AGE", "/created"), column("ERROR", "/error/message")};
}

}  // namespace

void add_operation_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "operation",
                   .collection = "/operations",
                   .columns = columns(),
                   .details = {column("HINT", "/error/hint"),
                               column("CREATED", "/created"),
                               column("STARTED", "/started"),
                               column("FINISHED", "/finished"),
                               column("NODE", "/node"),
                               {"NODES", rollout_text}}};
  auto& operation = add_noun(root, "operation", "What is being done and what was done");

  struct Options {
    std::string state, target;
    std::uint32_t limit = 50;
  };
  const auto options = std::make_shared<Options>();
  auto* list = operation.add_subcommand("list", "Operations, newest first")->alias("ls");
  list->add_option("--state", options->state, "pending, running, succeeded, failed or cancelled");
  list->add_option("--target", options->target, "Only those on this object (id)");
  list->add_option("--limit", options->limit, "At most so many (default 50)");
  on_chosen(*list, context, [&context, options](ApiClient& api) -> Status {
    std::string path = fmt::format("/operations?limit={}", options->limit);
    if (!options->state.empty()) path += "&state=" + path_segment(options->state);
    if (!options->target.empty()) path += "&target=" + path_segment(options->target);
    const auto answer = api.get(path);
    if (!answer) return forward(answer);
    context.print_list(*answer, columns());
    return {};
  });
  add_show(operation, context, words);

  auto* watch = operation.add_subcommand("watch", "Follow an operation to its end");
  const auto watched = std::make_shared<std::string>();
  watch->add_option("operation", *watched, "Its id")->required();
  on_chosen(*watch, context, [&context, watched](ApiClient&) { return context.follow_operation(*watched, *watched); });

  auto* cancel = operation.add_subcommand("cancel", "Ask an operation to stop; what it did is undone");
  const auto cancelled = std::make_shared<std::string>();
  cancel->add_option("operation", *cancelled, "Its id")->required();
  on_chosen(*cancel, context, [&context, cancelled](ApiClient& api) -> Status {
    const auto answer = api.post(fmt::format("/operations/{}/cancel", path_segment(*cancelled)));
    if (!answer) return forward(answer);
    context.say("Asked to stop. Follow it with: bh operation watch " + *cancelled);
    return {};
  });
}

}  // namespace bridgehead::cli
