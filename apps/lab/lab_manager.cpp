#include "lab/lab_manager.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "lab/host.h"
#include "lab/network_namespace.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::seconds kManagerStart{60};
constexpr std::chrono::seconds kManagerStop{15};
constexpr std::chrono::seconds kHostsPatience{300};
constexpr std::chrono::hours kImagePatience{1};  // a node image is built from packages, on a slow machine

// JSON's strings are TOML's basic ones.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string configuration(const Places& places, const AddressPlan& addresses, const ManagerFiles& files) {
  auto text = fmt::format(
      "# Made by bridgehead-lab.\nstate_dir = {}\nlisten = \"0.0.0.0:{}\"\nagent_listen = \"0.0.0.0:{}\"\n"
      "advertise = [\"{}\"]\n\n[netboot]\ndirectory = {}\nimport_directories = [\"/\"]\n",
      quoted(places.manager_state().native()), kApiPort, kAgentPort, addresses.manager(),
      quoted(places.netboot_directory().native()));
  if (!files.agent_package.empty()) text += fmt::format("agent_package = {}\n", quoted(files.agent_package));
  if (!files.recipes.empty()) text += fmt::format("recipes = {}\n", quoted(files.recipes));
  return text;
}

bool answers(const std::string& address, std::uint16_t port) {
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &there.sin_addr) != 1) return false;
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd && ::connect(fd.get(), reinterpret_cast<sockaddr*>(&there), sizeof there) == 0;
}

Status wait_until_it_serves(const Places& places, const LabState& state) {
  const auto deadline = std::chrono::steady_clock::now() + kManagerStart;
  while (std::chrono::steady_clock::now() < deadline) {
    if (!is_running(state.manager)) {
      return fail(ErrorCode::failed_precondition, "the manager has ended; its log says:\n{}",
                  last_lines(places.manager_log()));
    }
    if (std::filesystem::exists(places.token_file()) && answers(state.addresses().manager(), kApiPort)) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return fail(ErrorCode::timeout, "the manager did not serve within {} s; its log says:\n{}", kManagerStart.count(),
              last_lines(places.manager_log()));
}

}  // namespace

Result<std::map<std::string, std::string>> bh_environment(const Places& places, const LabState& state) {
  if (!state.with_manager) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("lab {} has no manager", state.name),
                          "It was made with --no-manager.");
  }
  auto token = read_file(places.token_file());
  if (!token) return forward(token);
  while (token->ends_with('\n')) token->pop_back();
  return std::map<std::string, std::string>{
      {"BH_SERVER", fmt::format("https://{}:{}", state.addresses().manager(), kApiPort)},
      {"BH_CA", places.ca_file().native()},
      {"BH_TOKEN", *token}};
}

Status write_manager_configuration(const Places& places, const LabState& state, const ManagerFiles& files) {
  if (auto made = make_directories(places.manager_state(), 0700); !made) return made;
  if (auto made = make_directories(places.netboot_directory(), 0755); !made) return made;
  return write_file_atomic(places.manager_config(), configuration(places, state.addresses(), files));
}

Status start_manager(const Places& places, LabState& state, const SaveState& save) {
  if (!state.with_manager) return forward(bh_environment(places, state));
  if (is_running(state.manager)) return {};
  const auto program = find_own_program("bridgehead-manager");
  if (!program) return forward(program);
  const Daemon daemon{
      .command = {.program = program->native(), .arguments = {"--config", places.manager_config().native()}},
      .network_namespace = places.namespace_file(),
      .own_sysfs = true,
      .log = places.manager_log()};
  state.manager_wanted = true;
  const auto started = start_daemon(daemon, [&](const ProcessId& process) {
    state.manager = process;
    return save();
  });
  if (!started) return forward(started);
  return run_in_namespace(places.namespace_file(), [&] { return wait_until_it_serves(places, state); });
}

Status stop_manager(LabState& state, Stop how, const SaveState& save) {
  state.manager_wanted = false;
  if (auto saved = save(); !saved) return saved;
  if (auto ended = end_process(state.manager, how == Stop::kill ? 0 : SIGTERM, kManagerStop); !ended) return ended;
  state.manager = {};
  return save();
}

std::vector<std::vector<std::string>> netboot_commands(const AddressPlan& addresses, const NetbootWish& wish) {
  std::vector<std::vector<std::string>> commands{{"netboot", "enable", "--interface", std::string(kBridge), "--range",
                                                  fmt::format("{}-{}", addresses.range_first(), addresses.range_last()),
                                                  "--auto-approve"}};
  std::vector<std::string> profile{"profile", "set", "default"};
  if (wish.method) profile.insert(profile.end(), {"--method", std::string(model::to_string(*wish.method))});
  if (wish.root) profile.insert(profile.end(), {"--root", std::string(model::to_string(*wish.root))});
  // First the profile: a machine that is quick would boot by what was before.
  if (profile.size() > 3) commands.insert(commands.begin(), profile);
  if (wish.image.empty()) return commands;
  const bool is_path = wish.image.starts_with('/');
  // Before DHCP answers: the first machine then gets this image, not the discovery.
  commands.insert(commands.begin(), {"node-image", is_path ? "import" : "build", wish.image});
  return commands;
}

Result<CommandOutput> run_bh(CommandRunner& runner, const Places& places, const LabState& state,
                             const std::vector<std::string>& arguments) {
  const auto bh = find_own_program("bh");
  const auto environment = bh_environment(places, state);
  if (!bh) return forward(bh);
  if (!environment) return forward(environment);
  Result<CommandOutput> output = fail(ErrorCode::internal, "bh wasn't run");
  const auto entered = run_in_namespace(places.namespace_file(), [&]() -> Status {
    output = runner.run(
        {.program = bh->native(), .arguments = arguments, .environment = *environment, .timeout = kImagePatience});
    return {};
  });
  if (!entered) return forward(entered);
  return output;
}

Status enable_netboot(CommandRunner& runner, const Places& places, const LabState& state, const NetbootWish& wish) {
  for (const auto& arguments : netboot_commands(state.addresses(), wish)) {
    if (const auto done = run_bh(runner, places, state, arguments); !done) return forward(done);
  }
  return {};
}

std::vector<std::string> pool_command(const Storage& storage) {
  const std::string kind(model::to_string(storage.kind));
  const auto source = pool_source(storage);
  std::vector<std::string> command{"pool", "add", kind, "--driver", kind, "--source", source.source};
  for (const auto& option : source.options) command.insert(command.end(), {"--option", option});
  return command;
}

Status add_pools_and_network(CommandRunner& runner, const Places& places, LabState& state, bool pools) {
  std::vector<std::vector<std::string>> commands;
  if (!state.hosts.empty()) {
    commands.push_back({"node", "wait", "--count", std::to_string(state.hosts.size()), "--timeout",
                        std::to_string(kHostsPatience.count())});
  }
  if (pools) std::transform(state.storage.begin(), state.storage.end(), std::back_inserter(commands), pool_command);
  commands.push_back({"network", "create", "lan", "--kind", "bridge", "--bridge", kHostBridge});
  for (const auto& command : commands) {
    if (const auto done = run_bh(runner, places, state, command); !done) return forward(done);
  }
  for (auto& storage : state.storage) storage.pool = pools ? model::to_string(storage.kind) : "";
  return {};
}

}  // namespace bridgehead::lab
