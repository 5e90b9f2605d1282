// energy: what nodes and guests have taken, and what was saved.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/energy_view.h"

namespace bridgehead::cli {

void add_energy_commands(CLI::App& root, Context& context) {
  auto& energy = add_noun(root, "energy", "What nodes and guests have taken, and what was saved by hosts that are off");
  auto* report = energy.add_subcommand("report", "kWh of each node, guest or day, and by whose word");
  struct Options {
    std::string last = "30d";
    std::string by = "node";
    bool guests = false;
  };
  const auto options = std::make_shared<Options>();
  report->add_option("--last", options->last, "How far back, such as 24h or 30d; at most 731d")->capture_default_str();
  auto* way = report->add_option("--by", options->by, "node, guest or day")
                  ->check(CLI::IsMember({"node", "guest", "day"}))
                  ->capture_default_str();
  report->add_flag("--guests", options->guests, "The same as --by guest")->excludes(way);
  on_chosen(*report, context, [&context, options](ApiClient& api) -> Status {
    const auto answer = api.get("/energy?last=" + path_segment(options->last));
    if (!answer) return forward(answer);
    if (context.format() == OutputFormat::json || context.format() == OutputFormat::yaml) {
      return context.print_object(*answer, {});
    }
    const auto by = options->guests ? std::string("guests") : options->by + "s";
    context.print_list(energy_rows(*answer, by), energy_columns(by));
    for (const auto& note : energy_notes(*answer)) context.say(note);
    return {};
  });
}

}  // namespace bridgehead::cli
