// bridgehead-lab: a rack in a box. `bh lab ...` runs this program.
#include <csignal>
#include <cstdio>

#include "lab/commands.h"

namespace {

using namespace bridgehead;

// As those of bh; scripts depend on them.
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

// What the user took for a command; "" if there was no such word.
std::string unknown_command(const CLI::App& app, int argc, char** argv) {
  if (!app.get_subcommands().empty()) return "";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--name" || word == "--directory") ++i;
    if (!word.starts_with("-")) return fmt::format("'{}' is not a command", word);
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  lab::CommandContext context;
  CLI::App app{"A rack in a box: machines without disks that boot over a network of their own", "bridgehead-lab"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "bridgehead-lab " BRIDGEHEAD_VERSION);
  app.add_option("--name", context.name, "The lab's name")->capture_default_str()->group("Global options");
  app.add_option("--directory", context.directory, "Where labs keep what they need")
      ->capture_default_str()
      ->group("Global options");
  app.add_flag("--silent", context.silent, "No progress")->group("Global options");
  lab::add_lab_commands(app, context);
  lab::add_machine_commands(app, context);
  lab::add_access_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help
    const auto unknown = unknown_command(app, argc, argv);
    fmt::print(stderr, "bridgehead-lab: {}\nSee: bridgehead-lab --help\n", unknown.empty() ? error.what() : unknown);
    return 2;
  }
  const auto outcome = context.chosen();
  std::fflush(stdout);
  if (outcome) return 0;
  fmt::print(stderr, "bridgehead-lab: {}\n", outcome.error().describe());
  return exit_code(outcome.error().code);
}
