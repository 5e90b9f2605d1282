// bridgehead-netboot: what boots machines over the network and needs root, for a manager that isn't. Command line,
// logging, wiring, signals, exit code.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/users.h"
#include "boot_services/boot_services_server.h"
#include "boot_services/local_boot_services.h"
#include "manager/config.h"
#include "manager/image_tools.h"
#include "manager/service_notify.h"
#include "manager/signals.h"
#include "netboot_helper/messages.h"

namespace bridgehead::netboot_helper {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr std::chrono::seconds stop_patience{20};
constexpr char manager_user[] = "bridgehead";

// Root, and the manager's user if there is one.
Result<boot_services::ServerOptions> server_options(const manager::NetbootConfig& config) {
  boot_services::ServerOptions options{.socket = config.socket, .group = {}, .callers = {0}};
  const auto user = find_user(manager_user);
  if (!user) {
    return fail_with_hint(ErrorCode::failed_precondition, user.error().message,
                          "It comes with the package bridgehead-manager, and with tools/quickstart.");
  }
  options.group = user->group;
  options.callers.insert(user->id);
  return options;
}

class Helper {
 public:
  Status start(const manager::NetbootConfig& config) {
    if (::geteuid() != 0) return fail(ErrorCode::permission_denied, "the netboot helper needs root");
    const auto options = server_options(config);
    if (!options) return forward(options);
    auto services =
        boot_services::LocalBootServices::open(config.directory, manager::image_tools(config), clock_, commands_);
    if (!services) return forward(services);
    services_ = std::move(*services);
    auto server = boot_services::BootServicesServer::start(*options, *services_);
    if (!server) return forward(server);
    server_ = std::move(*server);
    return {};
  }

 private:
  SystemClock clock_;
  SystemCommandRunner commands_;
  std::unique_ptr<boot_services::LocalBootServices> services_;
  std::unique_ptr<boot_services::BootServicesServer> server_;
};

int serve(const manager::Config& config) {
  manager::StopSignals signals;  // before any thread
  log::configure(config.log_level, config.log_format, "bridgehead-netboot");
  ::umask(022);  // images and loaders are for all that serve them
  Helper helper;
  if (auto started = helper.start(config.netboot); !started) {
    log::error(netboot_helper_failed, "{}", started.error().describe());
    return exit_failed;
  }
  log::info(netboot_helper_ready, "version {}; at {}", BRIDGEHEAD_VERSION, config.netboot.socket.string());
  manager::notify_service_manager("READY=1");
  signals.wait(stop_patience);
  manager::notify_service_manager("STOPPING=1");
  log::info(netboot_helper_stopping, "{}", "bye");
  return 0;
}

int run(int argc, char** argv) {
  std::string config_file;
  manager::Overrides overrides;
  CLI::App app("What boots machines over the network and needs root, for a Bridgehead manager that isn't root.",
               "bridgehead-netboot");
  app.set_version_flag("--version", std::string("bridgehead-netboot ") + BRIDGEHEAD_VERSION);
  app.add_option("--config", config_file,
                 fmt::format("The manager's TOML file, for its [netboot] (default {})", manager::default_config_file));
  app.add_option("--log-level", overrides.log_level, "debug, info, warning or error");
  app.add_option("--log-format", overrides.log_format, "text or json");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  const auto config = manager::load_config(config_file, overrides);
  if (!config) {
    fmt::print(stderr, "bridgehead-netboot: {}\n", config.error().describe());
    return exit_usage;
  }
  return serve(*config);
}

}  // namespace
}  // namespace bridgehead::netboot_helper

int main(int argc, char** argv) { return bridgehead::netboot_helper::run(argc, argv); }
