#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

std::string line_of(const nlohmann::json& event) {
  return fmt::format("{}  {:<20} {:<20} {} ({})", text(event, "/time"), text(event, "/kind"),
                     text(event, "/object_name"), text(event, "/message"), text(event, "/actor"));
}

}  // namespace

void add_event_commands(CLI::App& root, Context& context) {
  auto& event = add_noun(root, "event", "What changed");

  const auto limit = std::make_shared<std::uint32_t>(50);
  auto* list = event.add_subcommand("list", "The newest events")->alias("ls");
  list->add_option("--limit", *limit, "At most so many (default 50)");
  on_chosen(*list, context, [&context, limit](ApiClient& api) -> Status {
    const auto answer = api.get(fmt::format("/events?limit={}", *limit));
    if (!answer) return forward(answer);
    context.print_list(*answer, {column("TIME", "/time"), column("KIND", "/kind"), column("OBJECT", "/object_name"),
                                 column("MESSAGE", "/message"), column("BY", "/actor")});
    return {};
  });

  auto* watch = event.add_subcommand("watch", "Every change as it happens, until interrupted");
  on_chosen(*watch, context, [&context](ApiClient& api) -> Status {
    std::string last;
    return api.stream("/events/stream", last, [&](const StreamEvent& one) {
      if (one.kind == "operation.progress") return true;
      const auto shown = context.format() == OutputFormat::json ? one.data.dump() : printable(line_of(one.data));
      fmt::print("{}\n", shown);
      std::fflush(stdout);
      return true;
    });
  });
}

}  // namespace bridgehead::cli
