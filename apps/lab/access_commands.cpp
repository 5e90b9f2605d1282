// run, env, manager: ways into the lab.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "lab/commands.h"
#include "lab/host.h"
#include "lab/host_watchdog.h"
#include "lab/lab_host.h"
#include "lab/lab_manager.h"
#include "lab/lab_state.h"
#include "lab/network_namespace.h"
#include "lab/report.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::seconds kManagerLockPatience{60};

Result<LabState> load_checked(const CommandContext& context) {
  if (auto valid = check_name("lab", context.name); !valid) return forward(valid);
  return load_state(context.places());
}

Status enter(const Places& places, const LabState& state, const std::string& host) {
  if (host.empty()) return enter_namespace(places.namespace_file());
  if (const auto* found = state.find_host(host)) return enter_host(*found);
  return fail(ErrorCode::not_found, "lab {} has no host '{}'; it has {} of them", state.name, host, state.hosts.size());
}

Status run_inside(const CommandContext& context, const std::string& host, const std::vector<std::string>& words) {
  const auto state = load_checked(context);
  if (!state) return forward(state);
  if (auto root = require_root(); !root) return root;
  const auto places = context.places();
  if (!namespace_inode(places.namespace_file())) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("lab {} has crashed: its network namespace is gone", context.name),
                          "Remove it with bridgehead-lab down, then make it anew.");
  }
  if (const auto environment = bh_environment(places, *state)) {
    for (const auto& [name, value] : *environment) ::setenv(name.c_str(), value.c_str(), 1);
  }
  if (auto entered = enter(places, *state, host); !entered) return entered;
  std::vector<std::string> copy = words;
  std::vector<char*> arguments;
  for (auto& word : copy) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  return fail_errno(errno, fmt::format("run {}", words.front()));
}

Status run_env(const CommandContext& context) {
  const auto state = load_checked(context);
  if (!state) return forward(state);
  const auto environment = bh_environment(context.places(), *state);
  if (!environment) return forward(environment);
  fmt::print("{}", exports(*environment));
  return {};
}

Status run_storage(const CommandContext& context, const std::string& action) {
  if (auto root = require_root(); !root) return root;
  const auto state = load_checked(context);
  if (!state) return forward(state);
  if (state->storage.empty()) {
    return fail(ErrorCode::failed_precondition, "lab {} has no storage servers", context.name);
  }
  for (const auto& storage : state->storage) {
    const auto done = pause_storage(context.places(), storage, action == "pause" ? Pausing::pause : Pausing::resume);
    if (!done) return done;
  }
  return {};
}

Status run_manager(const CommandContext& context, const std::string& action) {
  if (auto root = require_root(); !root) return root;
  const auto places = context.places();
  const auto lock = LabLock::acquire(places, LabLock::Directory::must_exist, kManagerLockPatience);
  if (!lock) return forward(lock);
  auto state = load_checked(context);
  if (!state) return forward(state);
  if (!state->with_manager) return forward(bh_environment(places, *state));
  const SaveState save = [&] { return save_state(places, *state); };
  if (action != "start") {
    if (auto ended = stop_manager(*state, action == "kill" ? Stop::kill : Stop::in_order, save); !ended) return ended;
  }
  return action == "start" || action == "restart" ? start_manager(places, *state, save) : Status();
}

}  // namespace

void add_access_commands(CLI::App& app, CommandContext& context) {
  const auto words = std::make_shared<std::vector<std::string>>();
  auto* run = app.add_subcommand("run", "Run a program in the lab's network, where the machines can be reached");
  run->add_option("command", *words, "After --: the program and its arguments")->required();
  const auto host = std::make_shared<std::string>();
  run->add_option("--host", *host, "On this host instead, among its files and processes");
  run->callback([&context, host, words] {
    context.chosen = [&context, host, words] { return run_inside(context, *host, *words); };
  });

  const auto pausing = std::make_shared<std::string>();
  auto* storage = app.add_subcommand("storage", "The lab's storage servers: pause (as if they hung), resume");
  storage->add_option("action", *pausing, "pause or resume")->required()->check(CLI::IsMember({"pause", "resume"}));
  storage->callback(
      [&context, pausing] { context.chosen = [&context, pausing] { return run_storage(context, *pausing); }; });

  const auto name = std::make_shared<std::string>();
  auto* init = app.add_subcommand(kHostInit, "Become a lab's host (done by up and power)")->group("");
  init->add_option("host", *name)->required();
  init->callback([&context, name] { context.chosen = [&context, name] { return be_host(context.places(), *name); }; });

  auto* watchdog = app.add_subcommand(kHostWatchdog, "Become the watchdog of a lab's host")->group("");
  watchdog->add_option("host", *name)->required();
  watchdog->callback(
      [&context, name] { context.chosen = [&context, name] { return be_watchdog(context.places(), *name); }; });

  app.add_subcommand("env", "Shell lines that let bh use the lab's manager: eval \"$(bridgehead-lab env)\"")
      ->callback([&context] { context.chosen = [&context] { return run_env(context); }; });

  const auto action = std::make_shared<std::string>();
  auto* manager = app.add_subcommand("manager", "The lab's manager: start, stop, restart, kill (as kill -9 does)");
  manager->add_option("action", *action, "start, stop, restart or kill")
      ->required()
      ->check(CLI::IsMember({"start", "stop", "restart", "kill"}));
  manager->callback(
      [&context, action] { context.chosen = [&context, action] { return run_manager(context, *action); }; });
}

}  // namespace bridgehead::lab
