#include <csignal>
#include <cstdio>

#include "cli/commands/bench.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/version.h"

namespace {

using namespace bridgehead;

// Stable: scripts depend on them. Documented in the README and the man page.
int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return 2;
    case ErrorCode::not_found: return 3;
    case ErrorCode::unauthenticated:
    case ErrorCode::permission_denied: return 4;
    case ErrorCode::unavailable: return 5;
    case ErrorCode::timeout: return 6;
    default: return 1;
  }
}

// The first word that is neither a command at its place nor an argument of one: what the user mistyped.
std::string unknown_word(const CLI::App& app, int argc, char** argv) {
  const CLI::App* at = &app;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("-")) continue;
    const auto below = at->get_subcommands([](const CLI::App*) { return true; });
    if (below.empty()) return "";
    const auto found =
        std::find_if(below.begin(), below.end(), [&](const auto* child) { return child->check_name(word); });
    if (found == below.end()) return fmt::format("'{}' is not a command of {}", word, at->get_display_name());
    at = *found;
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `bh vm list | head` ends quietly
  cli::Context context;
  CLI::App app{"Bridgehead: a rack of machines as one KVM cluster", "bh"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_help_all_flag("--help-all", "Help of every command");
  app.set_version_flag("--version", fmt::format("bh {}", cli::kVersion));
  app.add_option("-o,--output", context.format_name,
                 "table, json, yaml, csv, name, or (for show) a field such as phase or address")
      ->group("Global options");
  app.add_option("--config", context.config_file, "Configuration file (default: ~/.config/bridgehead/cli.toml)")
      ->group("Global options");
  app.add_option("--server", context.server,
                 "The manager, https://HOST:PORT; overrides the configuration and BH_SERVER")
      ->group("Global options");
  app.add_flag("-q,--quiet", context.quiet, "No progress on standard error")->group("Global options");

  cli::add_status_commands(app, context);
  cli::add_vm_commands(app, context);
  cli::add_image_commands(app, context);
  cli::add_pool_commands(app, context);
  cli::add_network_commands(app, context);
  cli::add_node_commands(app, context);
  cli::add_netboot_commands(app, context);
  cli::add_node_image_commands(app, context);
  cli::add_profile_commands(app, context);
  cli::add_plan_commands(app, context);
  cli::add_rule_commands(app, context);
  cli::add_ha_commands(app, context);
  cli::add_energy_commands(app, context);
  cli::add_alert_commands(app, context);
  cli::add_policy_commands(app, context);
  cli::add_bench_commands(app, context);
  cli::add_operation_commands(app, context);
  cli::add_event_commands(app, context);
  cli::add_token_commands(app, context);
  cli::add_lab_command(app, context);
  cli::add_sim_command(app, context);
  cli::add_reference_commands(app, context);

  try {
    const std::string_view first = argc > 1 ? argv[1] : "";
    if (first == "lab" || first == "sim") {
      // As typed: its words and flags are another program's, even where they look like ours.
      context.chosen = [=] { return (first == "lab" ? cli::run_lab : cli::run_sim)({argv + 2, argv + argc}); };
    } else {
      app.parse(argc, argv);
    }
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help
    const auto unknown = unknown_word(app, argc, argv);
    fmt::print(stderr, "bh: {}\nSee: bh --help, bh NOUN --help\n",
               cli::printable(unknown.empty() ? error.what() : unknown));
    return 2;
  }
  if (!context.chosen) return 0;
  const auto outcome = context.chosen();
  if (outcome) return 0;
  fmt::print(stderr, "bh: {}\n", cli::printable(outcome.error().describe()));
  return exit_code(outcome.error().code);
}
