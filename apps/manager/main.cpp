// bridgehead-manager: command line, logging, signals, exit code. What it does is in manager.cpp.
#include <grpc/support/log.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "manager/bootstrap.h"
#include "manager/config.h"
#include "manager/manager.h"
#include "manager/messages.h"
#include "manager/service_notify.h"
#include "manager/signals.h"
#include "model/enum_names.h"
#include "state/sqlite_store.h"

namespace bridgehead::manager {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr std::chrono::seconds stop_patience{10};

int complain(const Error& error, int code) {
  fmt::print(stderr, "bridgehead-manager: {}\n", error.message);
  if (!error.hint.empty()) fmt::print(stderr, "{}\n", error.hint);
  return code;
}

void take_grpc_log(gpr_log_func_args* line) {
  if (line->severity == GPR_LOG_SEVERITY_ERROR)
    log::warning(grpc_says, "{}", line->message);
  else
    log::debug(grpc_says, "{}", line->message);
}

int serve(const Config& config) {
  StopSignals signals;  // before any thread
  log::configure(config.log_level, config.log_format, "bridgehead-manager");
  gpr_set_log_function(take_grpc_log);
  ::mallopt(M_ARENA_MAX, 2);  // an arena per thread would cost more memory than it saves time here
  auto manager = Manager::start(config);
  if (!manager) {
    log::error(manager_failed, "{}", manager.error().describe());
    return exit_failed;
  }
  log::info(manager_ready, "version {}; REST at {}, agents at {}", BRIDGEHEAD_VERSION, (*manager)->listening().text(),
            (*manager)->listening_for_agents().text());
  notify_service_manager("READY=1");
  const int signal = signals.wait(stop_patience);
  notify_service_manager("STOPPING=1");
  log::info(manager_stopping, "{}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
  manager->reset();
  log::info(manager_stopped, "{}", "bye");
  return 0;
}

// Works only while no manager runs: the store belongs to one process.
Result<std::string> make_token_offline(const Config& config, const std::string& name, const std::string& role_text) {
  const auto role = model::parse_enum<model::Role>(role_text);
  if (!role) return forward(role);
  if (!std::filesystem::exists(config.state_dir / "state.db")) {
    return fail_with_hint(ErrorCode::not_found,
                          fmt::format("there is no manager's state in {}", config.state_dir.string()),
                          "Give its directory with --state-dir, or start the manager once.");
  }
  const SystemClock clock;
  SystemRandom random;
  const auto store = state::open_sqlite_store(config.state_dir / "state.db");
  if (!store) return forward(store);
  const auto inventory = state::Inventory::open(**store, clock);
  if (!inventory) return forward(inventory);
  return create_token(**inventory, clock, random, name, *role);
}

struct CommandLine {
  std::string config_file;
  Overrides overrides;
  std::string token_name;
  std::string token_role = "admin";
};

int run(int argc, char** argv) {
  CommandLine line;
  CLI::App app("The control plane of a Bridgehead cluster: REST API, reconciler and the agents' gateway.",
               "bridgehead-manager");
  app.set_version_flag("--version", std::string("bridgehead-manager ") + BRIDGEHEAD_VERSION);
  app.add_option("--config", line.config_file, fmt::format("TOML file (default {})", default_config_file));
  app.add_option("--state-dir", line.overrides.state_dir, "Where the manager keeps everything");
  app.add_option("--listen", line.overrides.listen, "ADDRESS:PORT of the REST API");
  app.add_option("--agent-listen", line.overrides.agent_listen, "ADDRESS:PORT where agents dial in");
  app.add_option("--advertise", line.overrides.advertise,
                 "Name or address that clients and agents use (may be repeated); the first one goes into join tokens");
  app.add_option("--log-level", line.overrides.log_level, "debug, info, warning or error");
  app.add_option("--log-format", line.overrides.log_format, "text or json");
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.add_subcommand("serve", "Run the manager (the default)");
  auto* check = app.add_subcommand("check-config", "Check the configuration and end");
  auto* token = app.add_subcommand("token", "Access tokens, while the manager is stopped");
  token->require_subcommand(1);
  auto* create = token->add_subcommand("create", "Make a token and print it: the way back in when every token is lost");
  create->add_option("--name", line.token_name, "The token's name")->required();
  create->add_option("--role", line.token_role, "admin, operator or viewer")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }

  const auto config = load_config(line.config_file, line.overrides);
  if (!config) return complain(config.error(), exit_usage);
  if (check->parsed()) {
    fmt::print("The configuration is fine.\n");
    return 0;
  }
  if (create->parsed()) {
    const auto text = make_token_offline(*config, line.token_name, line.token_role);
    if (!text) return complain(text.error(), exit_failed);
    fmt::print("{}\n", *text);
    return 0;
  }
  return serve(*config);
}

}  // namespace
}  // namespace bridgehead::manager

int main(int argc, char** argv) { return bridgehead::manager::run(argc, argv); }
