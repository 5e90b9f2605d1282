// bridgehead-agent: runs on each node, see docs and --help.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>

#include "run_agent.h"

namespace {

// sysexits.h: EX_CONFIG. The unit doesn't restart on it: only a person can put it right.
constexpr int kExitConfig = 78;

int exit_code(const bridgehead::Error& error) {
  using bridgehead::ErrorCode;
  return error.code == ErrorCode::invalid_argument || error.code == ErrorCode::failed_precondition ? kExitConfig : 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace bridgehead;
  // gRPC's own complaints about a manager that is away are told by our log, once.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);

  CLI::App app{
      "Runs on each node of a Bridgehead cluster: reports what the node has, runs its guests.\n"
      "It dials the manager; the node needs no open port. Guests go on when it stops."};
  app.set_version_flag("--version", std::string("bridgehead-agent ") + BRIDGEHEAD_VERSION);
  app.footer("Exit codes: 0 stopped or joined, 1 failed, 2 wrong usage, 78 not joined or misconfigured.");
  app.require_subcommand(0, 1);
  std::string config_path = agent_app::kDefaultConfig;
  app.add_option("--config", config_path, "Configuration file")->capture_default_str()->type_name("FILE");
  auto* run = app.add_subcommand("run", "Run the agent until it is told to stop (the default)");
  run->fallthrough();
  auto* join =
      app.add_subcommand("join", "Make this node a member of a cluster; done once, repeating it changes nothing");
  join->fallthrough();
  std::string token;
  join->add_option("token", token, "From 'bh node join-token'; - reads it from standard input")
      ->required()
      ->type_name("TOKEN");
  auto* join_boot = app.add_subcommand(
      "join-boot", "Join by the token of this boot over the network; run by a unit of the node image");
  join_boot->fallthrough();
  std::string boot_file = agent_app::kBootFile;
  join_boot->add_option("--file", boot_file, "What the initramfs left")->capture_default_str()->type_name("FILE");
  auto* install_upgrade = app.add_subcommand(
      "install-upgrade", "Install the package that the manager has sent; run by systemd when the agent asks for it");
  install_upgrade->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }

  const auto config = agent_app::load_config(config_path);
  if (!config) {
    fmt::print(stderr, "bridgehead-agent: {}\n", config.error().describe());
    return kExitConfig;
  }
  log::configure(config->log_level, config->log_format, "bridgehead-agent");
  const auto done = join->parsed()              ? agent_app::join(*config, token)
                    : join_boot->parsed()       ? agent_app::join_boot(*config, boot_file)
                    : install_upgrade->parsed() ? agent_app::install_upgrade(*config)
                                                : agent_app::run_agent(*config, config_path);
  if (done) return 0;
  fmt::print(stderr, "bridgehead-agent: {}\n", done.error().describe());
  return exit_code(done.error());
}
